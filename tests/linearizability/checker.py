"""Whether a recorded history could have been: a verdict, and for a no what can't be explained.

Galleries are independent objects, so a history is linearizable if that of each gallery alone is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from .history import History, Operation
from .ordering import Model, Ordering, Search

SECONDS = 30.0
MOST_CONFIGURATIONS = 400_000
"""Bounds the memory: some kB each in large galleries."""
EXPLAINING_SECONDS = 5.0
SHOWN = 10
"""Operations of the order that an explanation ends with."""


class Outcome(StrEnum):
    LINEARIZABLE = "linearizable"
    VIOLATION = "not linearizable"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one gallery. ``order``: one that could have been, or the longest there is.

    ``explanation`` is for people; empty if linearizable. ``configurations``: size of the search.
    """

    gallery: str
    outcome: Outcome
    order: tuple[Operation, ...]
    explanation: str
    configurations: int
    seconds: float


def check(
    history: History,
    model: type[Model],
    *,
    seconds: float = SECONDS,
    most: int = MOST_CONFIGURATIONS,
) -> list[Verdict]:
    """One verdict a gallery; ``seconds`` and ``most`` bound the search in each."""
    return [
        _check(gallery, operations, model, seconds, most)
        for gallery, operations in history.by_gallery().items()
    ]


def require_linearizable(
    history: History,
    model: type[Model],
    *,
    seconds: float = SECONDS,
    keep: Path | None = None,
) -> list[Verdict]:
    """Raises AssertionError with the explanations unless every gallery is found linearizable.

    Undecided is a failure too. ``keep``: the file that the history of a failure is written to.
    """
    verdicts = check(history, model, seconds=seconds)
    failed = [verdict for verdict in verdicts if verdict.outcome is not Outcome.LINEARIZABLE]
    if failed and keep is not None:
        history.dump(keep)
    assert not failed, "\n\n".join(verdict.explanation for verdict in failed)
    return verdicts


def _check(
    gallery: str, operations: Sequence[Operation], model: type[Model], seconds: float, most: int
) -> Verdict:
    began = time.monotonic()
    found = Search(model(operations), operations).run(began + seconds, most)
    took = time.monotonic() - began
    order = tuple(operations[number] for number in found.order)
    explanation = ""
    if found.complete:
        outcome = Outcome.LINEARIZABLE
    elif found.exhausted:
        outcome = Outcome.VIOLATION
        explanation = _explain(gallery, operations, model)
    else:
        outcome = Outcome.UNDECIDED
        explanation = (
            f"gallery {gallery!r}: undecided after {took:.1f} s and {found.configurations} "
            f"configurations of {len(operations)} operations"
        )
    return Verdict(gallery, outcome, order, explanation, found.configurations, took)


def _explain(gallery: str, operations: Sequence[Operation], model: type[Model]) -> str:
    """Of the shortest beginning that is no more linearizable: its longest order, and the rest."""
    deadline = time.monotonic() + EXPLAINING_SECONDS
    returns = sorted(o.returned for o in operations if o.returned is not None)
    low, high = 0, len(returns) - 1
    while low < high:  # what has no order gets none by going on: so halving works
        middle = (low + high) // 2
        part = until(operations, returns[middle])
        found = Search(model(part), part).run(deadline, MOST_CONFIGURATIONS)
        if not found.complete and found.exhausted:
            high = middle
        else:
            low = middle + 1
    part = until(operations, returns[high])
    shown = model(part)
    # Without foresight the order goes as far as it can, which is what people follow.
    found = Search(shown, part, foresight=False).run(deadline, MOST_CONFIGURATIONS)
    return _report(gallery, part, shown, found)


def until(operations: Sequence[Operation], moment: int) -> list[Operation]:
    """What was known at ``moment``: calls made by then, without the answers that came later."""
    part = []
    for operation in operations:
        if operation.invoked <= moment:
            late = operation.returned is not None and operation.returned > moment
            part.append(replace(operation, result=None, returned=None) if late else operation)
    return part


def _report(gallery: str, part: Sequence[Operation], model: Model, found: Ordering) -> str:
    zero = part[0].invoked
    known = sum(operation.known for operation in part)
    placed = [part[number] for number in found.order]
    lines = [
        f"gallery {gallery!r} is not linearizable: of the first {known} operations that returned, "
        f"{sum(operation.known for operation in placed)} have an order that ends with"
    ]
    lines += [f"    {_line(operation, zero)}" for operation in placed[-SHOWN:]]
    lines += [f"  after which it is: {model.describe(found.state)}", "  and none can be next of"]
    for number, fits in found.stuck:
        would = model.expected(found.state, part[number])
        why = "fits, but leads nowhere" if fits else f"would be {would}"
        lines.append(f"    {_line(part[number], zero)}; {why}")
    left = set(range(len(part))) - set(found.order)
    changing = (n for n in sorted(left) if not part[n].known)
    open_calls = [
        part[n] for n in changing if any(s != found.state for s in model.step(found.state, part[n]))
    ]
    if open_calls:
        lines.append("  unknown whether and when these took effect")
        lines += [f"    {_line(operation, zero)}" for operation in open_calls[:SHOWN]]
        if len(open_calls) > SHOWN:
            lines.append(f"    and {len(open_calls) - SHOWN} more")
    return "\n".join(lines)


def _line(operation: Operation, zero: int) -> str:
    """Times in milliseconds since the gallery's first call."""
    start = f"{(operation.invoked - zero) / 1e6:.3f}"
    if operation.returned is None:
        return f"client {operation.client} {operation.kind} {operation.argument} [{start} ..]"
    end = f"{(operation.returned - zero) / 1e6:.3f}"
    return (
        f"client {operation.client} {operation.kind} {operation.argument} "
        f"[{start} .. {end}] answered {operation.result}"
    )
