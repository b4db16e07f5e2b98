"""What was asked and what came of it: each attempt, and each operation that attempts are made for.

Owns no judgement: ``verdict`` says what was lost. Times are seconds of ``time.monotonic``.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

Kind = Literal["infer", "add", "remove"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request. ``operation``: whose; of a change its Idempotency-Key. ``number``: 1, or 2 for
    the retry. ``status``: of HTTP, or ``traffic.attempts``' NO_ANSWER or WRONG."""

    operation: str
    number: int
    route: str
    address: str
    due_s: float
    sent_s: float
    done_s: float
    status: int
    reason: str = ""

    @property
    def is_good(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True)
class Operation:
    """``begun_s`` of the first attempt, ``ended_s`` of the last. ``label``: that is enrolled or
    removed. ``seen``: the labels that a read that was answered saw."""

    id: str
    kind: Kind
    label: str
    due_s: float
    begun_s: float
    ended_s: float
    is_good: bool
    seen: frozenset[str] = field(default=frozenset())

    @property
    def latency_s(self) -> float:
        """From when it was due, retry included."""
        return self.ended_s - self.due_s


COLUMNS = [one.name for one in fields(Attempt)]


class Journal:
    """Of one scenario; filled by the client's event loop."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.operations: list[Operation] = []

    def write(self, file: Path, start_s: float) -> None:
        """Every attempt, a line each, times from ``start_s``."""
        write(file, self.attempts, start_s)


def write(file: Path, attempts: Iterable[Attempt], start_s: float) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for one in sorted(attempts, key=lambda one: one.due_s):
            writer.writerow([_cell(one, column, start_s) for column in COLUMNS])


def _cell(attempt: Attempt, column: str, start_s: float) -> object:
    value = getattr(attempt, column)
    return f"{value - start_s:.3f}" if column.endswith("_s") else value


def longest_gap_s(operations: Sequence[Operation]) -> float:
    """The longest time in which nothing was answered well."""
    ends = sorted(one.ended_s for one in operations if one.is_good)
    return max((b - a for a, b in itertools.pairwise(ends)), default=0.0)
