from __future__ import annotations

import pytest

from load_tests.findings import Finding, Section
from load_tests.report.markdown import markdown, shown


def test_each_bar_is_one_line_with_measured_bar_and_verdict() -> None:
    sections = [
        Section("Second", ["a", "b"], [["x", 1.0]], [Finding("2", "slow", 12.5, 10, "ms")]),
        Section("First", ["a"], [], [
            Finding("1", "fast", 0.9, 0.85, at_least=True), Finding("1", "told", 3.0, None)
        ], ["A note."]),
    ]  # fmt: skip
    text = markdown(sections, {"Commit": "abc"}, "curve.png")
    assert "| 2 | slow | 12.5 ms | at most 10.0 | **miss** |" in text
    assert "| 1 | fast | 0.900 | at least 0.850 | pass |" in text
    assert "| 1 | told | 3.00 |  | told |" in text
    assert text.index("| 1 | fast") < text.index("| 2 | slow") < text.index("## Second")
    assert "- Commit: abc" in text
    assert "![Throughput and latency](curve.png)" in text
    assert "A note." in text
    assert "| x | 1.00 |" in text


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, ""), (12, "12"), ("x", "x"), (0.0, "0"), (1234.5, "1234"), (12.345, "12.3"),
     (0.01234, "0.0123"), (-3.456, "-3.46"), (float("nan"), "not measured")],
)  # fmt: skip
def test_numbers_show_three_digits_that_count(cell: float | str | None, text: str) -> None:
    assert shown(cell) == text
