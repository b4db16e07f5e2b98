"""One line of record for every request that was due, sent or not, answered or not."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

NOT_SENT = -1
"""In the place of a status: it was due and not sent, as too many were under way already."""
NO_ANSWER = 0
"""In the place of a status: no answer within the time, or no connection."""
WRONG = -2
"""In the place of a status: 200, but not with the content that the request expects."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Times in seconds from the plan's start. ``due_s``: when it should have been sent (of a closed
    loop: when it was). ``timing``: the reply's Server-Timing; ``retry_after``: whether it said when
    to come back."""

    phase: str
    request: str
    due_s: float
    sent_s: float
    done_s: float
    status: int
    size: int = 0
    retry_after: bool = False
    timing: str = ""

    @property
    def latency_s(self) -> float:
        """From when it was due: a client that falls behind does not hide what users feel."""
        return self.done_s - self.due_s

    @property
    def service_s(self) -> float:
        """From when it was sent."""
        return self.done_s - self.sent_s

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


COLUMNS = [field.name for field in fields(Attempt)]


def write(file: Path, attempts: Iterable[Attempt]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for one in attempts:
            writer.writerow([getattr(one, column) for column in COLUMNS])


def read(file: Path) -> list[Attempt]:
    with file.open(encoding="utf-8", newline="") as stream:
        return [
            Attempt(
                row["phase"],
                row["request"],
                float(row["due_s"]),
                float(row["sent_s"]),
                float(row["done_s"]),
                int(row["status"]),
                int(row["size"]),
                row["retry_after"] == "True",
                row["timing"],
            )
            for row in csv.DictReader(stream)
        ]
