"""A network's runtimes against each other: each in a process of its own, their turns taken in
rotation, so that a moment of load on the machine strikes all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.child import Child, ChildCrashError, ChildError
from serve_app.models.network import Network
from serve_app.models.selection import probe
from serve_app.models.selection.agreement import difference
from serve_app.models.selection.forms import RunOptions
from serve_app.models.selection.measurement import Row

SETTLED = 1.05
"""The best two turns of a runtime differ by no more on a machine at rest."""

HOPELESS = 2.0
"""A runtime that takes so many times as long as the best, after the first turns, has no further."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``module``: the probe. Turns end when all runtimes are settled. Loading counts from the
    start, conversion included; TensorRT builds for minutes."""

    module: str = probe.__name__
    min_turns: int = 3
    max_turns: int = 12
    turn_s: float = 0.25
    load_deadline_s: float = 180.0
    load_deadline_gpu_s: float = 900.0
    turn_deadline_s: float = 60.0


@dataclass(slots=True)
class _Candidate:
    runtime: str
    child: Child
    file: Path
    seconds: list[float] = field(default_factory=list)
    difference: str | None = None
    left_out: str | None = None
    crashed: bool = False

    def row(self) -> Row:
        turns = tuple(round(seconds * 1000, 4) for seconds in self.seconds)
        return Row(
            runtime=self.runtime,
            ms=min(turns, default=None),
            turns_ms=turns,
            difference=self.difference,
            left_out=self.left_out,
        )


def trial(
    network: Network, plain: str, others: Sequence[str], options: RunOptions, rules: Rules
) -> list[Row]:
    """A row for ``plain``, then for each other runtime. Where the plain one fails there is nothing
    to compare the others with: they have no times then. Raises ModelError where it crashes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="face-serve-")))
        probe.write_tensors(folder / probe.EXAMPLE, network.example())
        candidates = _load(network, [plain, *others], options, rules, folder, stack)
        _compare(candidates)
        if candidates[0].left_out is None:
            _race(candidates, rules)
        return [candidate.row() for candidate in candidates]


def _load(
    network: Network,
    runtimes: Sequence[str],
    options: RunOptions,
    rules: Rules,
    folder: Path,
    stack: ExitStack,
) -> list[_Candidate]:
    """Start all and wait for each. Together on a CPU; on other devices one after the other, where
    memory is scarce and TensorRT measures while it builds."""
    on_cpu = options.device.kind == "cpu"
    deadline_s = rules.load_deadline_s if on_cpu else rules.load_deadline_gpu_s
    lifetime_s = deadline_s + rules.max_turns * len(runtimes) * rules.turn_deadline_s
    candidates = []
    for runtime in runtimes:
        file = folder / f"{runtime}.json"
        probe.write_request(file, network, runtime, options)
        child = stack.enter_context(Child(rules.module, [str(file)], lifetime_s))
        candidates.append(_Candidate(runtime, child, file))
        if not on_cpu:
            _await(candidates[-1], deadline_s)
    for candidate in candidates if on_cpu else []:
        _await(candidate, deadline_s)
    if candidates[0].crashed:
        raise ModelError(
            f"{network.name}: runtime {runtimes[0]} {candidates[0].left_out}; choose another one"
        )
    return candidates


def _await(candidate: _Candidate, deadline_s: float) -> None:
    try:
        candidate.child.answer(deadline_s)
    except ChildError as error:
        candidate.crashed = isinstance(error, ChildCrashError)
        _leave_out(candidate, str(error))


def _compare(candidates: list[_Candidate]) -> None:
    plain = candidates[0]
    if plain.left_out is not None:
        return
    expected = probe.read_tensors(plain.file.with_suffix(".npz"))
    for other in candidates[1:]:
        if other.left_out is None:
            apart = difference(expected, probe.read_tensors(other.file.with_suffix(".npz")))
            other.difference = str(apart)
            if not apart.agrees:
                _leave_out(other, f"answers otherwise than {plain.runtime}: {apart}")


def _race(candidates: list[_Candidate], rules: Rules) -> None:
    """Back and forth, so that none always follows the same other: threads of some runtimes spin on
    for a while after a run. The plain one takes every turn, as all are compared with it."""
    plain = candidates[0]
    for number in range(rules.max_turns):
        running = [c for c in candidates if c.left_out is None]
        if number >= rules.min_turns:
            best = min(min(c.seconds) for c in running)
            running = [c for c in running if c is plain or min(c.seconds) <= HOPELESS * best]
            if all(_is_settled(c) for c in running):
                break
        for candidate in running[:: -1 if number % 2 else 1]:
            try:
                answer = candidate.child.ask(str(rules.turn_s), rules.turn_deadline_s)
                candidate.seconds.append(float(answer["seconds"]))
            except ChildError as error:
                _leave_out(candidate, str(error))
        if plain.left_out is not None:
            break


def _is_settled(candidate: _Candidate) -> bool:
    best, second, *_ = sorted(candidate.seconds)
    return second <= SETTLED * best


def _leave_out(candidate: _Candidate, reason: str) -> None:
    candidate.left_out = reason
    candidate.seconds.clear()
    candidate.child.close()
