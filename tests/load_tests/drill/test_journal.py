from __future__ import annotations

import csv
from pathlib import Path

from load_tests.drill.journal import Attempt, Journal, Operation, longest_gap_s


def test_every_attempt_is_a_line_in_the_order_in_which_they_were_due(tmp_path: Path) -> None:
    journal = Journal()
    for number, due_s in ((2, 11.0), (1, 10.5)):
        journal.attempts.append(
            Attempt("name", number, "/infer", "http://127.0.0.1:1", due_s, 11.5, 12.0, 500, "why")
        )
    journal.write(tmp_path / "attempts.csv", 10.0)
    with (tmp_path / "attempts.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["due_s"] for row in rows] == ["0.500", "1.000"]
    assert rows[0] | {"number": "1", "operation": "name", "status": "500"} == rows[0]


def test_a_silence_is_between_good_answers() -> None:
    def ended(at: float, *, good: bool = True) -> Operation:
        return Operation("x", "infer", "", 0.0, 0.0, at, good)

    assert longest_gap_s([ended(4.0), ended(1.0), ended(3.0, good=False)]) == 3.0
    assert longest_gap_s([]) == 0.0
