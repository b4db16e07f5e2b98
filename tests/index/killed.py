"""A process that writes, searches, builds and prunes until it is killed, as the index stage does.

It says "ready" when all is imported. For each line that comes in it forks a life, so that one start
serves many kills. A life says what it is about to do and, after the commit, that it is done: see
``Said``. ``python -m tests.index.killed URL SNAPSHOTS``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.errors import FaceServeError
from serve_app.index.mutations import Add, Mutation, Optimize, Remove
from serve_app.index.records import SearchRequest
from serve_app.index.upkeep import keeper as keeping
from serve_app.index.upkeep.keeper import Housekeeping
from serve_app.index.upkeep.rules import UpkeepRules
from serve_app.types import Operation

from .replica import WHOLE, Replica
from .samples import embeddings
from .snapshotting import keeper_of

ROOT = Path(__file__).resolve().parents[2]
KEY = "staff"
A_MUTATION = 3
"""Templates that are added, or removed, together. All have the number of their addition as label.
"""
WRITERS = 2
EVERYONE = 100_000
ENOUGH = 15
"""Additions of a writer above which it removes more than it adds."""

PAUSE_S = 0.01
"""At most, between two mutations of a writer: SQLite lets others wait for one that never pauses."""

RULES = UpkeepRules(exact_until=20, erase_within_s=0.2)
HOUSEKEEPING = Housekeeping(interval_s=0.02, prune_every_s=0.1, tombstones=60)
LEASE_S = 0.3
"""A killed process keeps its lease: here lives are shorter than it would be."""

There = dict[int, list[int]]
"""The additions that were not removed: their numbers and their templates' ids."""


@dataclass(frozen=True)
class Said:
    """``verb``: "add" or "remove" an addition, about to be done under ``operation``."""

    verb: str
    operation: str
    number: int
    ids: list[int] = field(default_factory=list)

    def mutation(self) -> Mutation:
        """The same again."""
        operation = Operation(self.operation, self.verb)
        if self.verb == "remove":
            return Remove(KEY, self.ids, operation=operation)
        labels = [str(self.number)] * A_MUTATION
        enrolled = embeddings(A_MUTATION, seed=self.number)
        return Add(KEY, labels, enrolled, operation=operation)


class Mortal:
    """The process, and what the test does with it."""

    def __init__(self, url: str, snapshots: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, url, str(snapshots)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def live_and_be_killed(self, there: There, life: int, seconds: float) -> list[list[object]]:
        """One life with no chance to clean up at its end: what it said."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([life, list(there.items())]) + "\n")
        self._process.stdin.flush()
        _, process = self._read().split()
        time.sleep(seconds)
        os.kill(int(process), signal.SIGKILL)
        said = list(iter(self._read, ""))
        assert said[-1] == f"dead of signal {signal.SIGKILL}", said[-3:]
        return [json.loads(line) for line in said[:-1]]

    def end(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class Life:
    """``there``: what it finds. Its writers share it by the numbers' remainders."""

    def __init__(self, url: str, snapshots: Path, number: int, there: There) -> None:
        self._number = number
        self._replica = Replica(url, snapshots)
        self._lock = threading.Lock()
        self._there = dict(there)
        self._removing: set[int] = set()  # ids, also of what is being removed
        self._removed: set[int] = set()
        self._keeper = keeper_of(self._replica, WHOLE, RULES, HOUSEKEEPING)

    def go_on(self) -> None:
        """For ever."""
        self._keeper.start()
        works: list[Callable[[], None]] = [
            self._search,
            *(lambda w=w: self._write(w) for w in range(WRITERS)),
        ]
        for work in works:
            threading.Thread(target=self._watched, args=(work,), daemon=True).start()
        threading.Event().wait()

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            say(json.dumps(["failed", type(error).__name__, str(error)]))
            os._exit(1)

    def _write(self, writer: int) -> None:
        chance = random.Random(f"{self._number} {writer}")
        number = 1_000_000 * self._number + writer
        mine = [n for n in self._there if n % WRITERS == writer]
        while True:
            operation = f"{self._number}-{writer}-{chance.random()}"
            if mine and chance.random() < (0.4 if len(mine) < ENOUGH else 0.7):
                gone = mine.pop(chance.randrange(len(mine)))
                self._remove(Said("remove", operation, gone, self._there[gone]))
            else:
                number += WRITERS
                self._add(Said("add", operation, number))
                mine.append(number)
            if chance.random() < 0.1:
                self._replica.store.do(Optimize(KEY))
            time.sleep(chance.uniform(0, PAUSE_S))

    def _add(self, planned: Said) -> None:
        ids = self._do(planned)
        with self._lock:
            self._there[planned.number] = ids

    def _remove(self, planned: Said) -> None:
        with self._lock:
            self._removing.update(planned.ids)
            del self._there[planned.number]
        ids = self._do(planned)
        with self._lock:
            self._removed.update(ids)

    def _do(self, planned: Said) -> list[int]:
        say(json.dumps([planned.verb, planned.operation, planned.number, planned.ids]))
        ids = self._replica.store.do(planned.mutation()).ids
        say(json.dumps(["done", planned.operation, planned.number, ids]))
        return ids

    def _search(self) -> None:
        """Finds what was acknowledged before, and nothing whose removal was."""
        request = SearchRequest(KEY, embeddings(1), EVERYONE)
        while True:
            with self._lock:
                before = {number for ids in self._there.values() for number in ids}
                removed = set(self._removed)
            (answer,) = self._replica.search([request])
            if isinstance(answer, FaceServeError):
                raise answer
            found = {candidate.template_id for candidate in answer.candidates[0]}  # type: ignore[union-attr]
            with self._lock:
                missing = before - found - self._removing
            assert not missing, f"not found: {sorted(missing)}"
            assert not found & removed, f"found again: {sorted(found & removed)}"
            time.sleep(0.002)


def say(line: str) -> None:
    # At once and whole, or not at all: short writes to a pipe are atomic.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main(url: str, snapshots: str) -> None:
    keeping.LEASE_S = LEASE_S  # type: ignore[assignment]
    say("ready")
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            say(f"alive {os.getpid()}")
            number, there = json.loads(line)
            Life(url, Path(snapshots), number, dict(there)).go_on()
        _, status = os.waitpid(process, 0)
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "itself"
        say(f"dead of {how}")
        say("")


if __name__ == "__main__":
    main(*sys.argv[1:])
