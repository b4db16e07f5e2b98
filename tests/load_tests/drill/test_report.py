from __future__ import annotations

from load_tests.drill.report import COLUMNS, report
from load_tests.drill.verdict import Verdict


def test_a_row_a_scenario() -> None:
    verdict = Verdict(100, 3, 0, 30, 0, 0, 70, 0, 0.02, 1.25, 2.5, 0.7, {200: 100, 500: 3})
    head, line, row = report({"a head restart": verdict}).splitlines()
    assert head.count("|") == line.count("|") == row.count("|") == len(COLUMNS) + 1
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["a head restart", "100", "3", "0", "30"]
    assert cells[-4:] == ["20.0", "1250", "2.50", "0.700"]
