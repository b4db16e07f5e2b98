from __future__ import annotations

from dataclasses import replace

from load_tests.drill.report import COLUMNS, report, told
from load_tests.drill.verdict import Verdict

VERDICT = Verdict(100, 3, 0, 30, 0, 0, 70, 0, 0.02, 1.25, 2.5, 0.7, {200: 100, 500: 3})


def test_a_line_says_whether_it_holds() -> None:
    assert told(VERDICT).startswith("holds: 0 of 100 requests lost (3 without a retry)")
    assert told(VERDICT).endswith("attempts: 100 of 200, 3 of 500")
    assert told(replace(VERDICT, stale=1)).startswith("DOES NOT HOLD")
    assert told(replace(VERDICT, settled=False)).startswith("DOES NOT HOLD")


def test_a_row_a_scenario() -> None:
    head, line, row = report({"a head restart": VERDICT}).splitlines()
    assert head.count("|") == line.count("|") == row.count("|") == len(COLUMNS) + 1
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["a head restart", "100", "3", "0", "30"]
    assert cells[-4:] == ["20.0", "1250", "2.50", "0.700"]
