"""The report for readers: the bars first, then what was measured, table by table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from load_tests.findings import Cell, Finding, Section

VERDICTS = {True: "pass", False: "**miss**", None: "told"}


def markdown(sections: Sequence[Section], facts: Mapping[str, str], curve: str | None) -> str:
    """``facts``: of the machine and the run; ``curve``: the picture's file name."""
    lines = ["# Benchmark", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    findings = [finding for section in sections for finding in section.findings]
    lines += ["## Must hold", ""]
    lines += table(["", "", "measured", "bar", ""], [_line(one) for one in sorted(
        findings, key=lambda one: one.must_hold)])  # fmt: skip
    if curve:
        lines += ["", f"![Throughput and latency]({curve})"]
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        if section.rows:
            lines += table(section.columns, section.rows)
        lines += [f"\n{note}" for note in section.notes]
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [*map(shown, row), *[""] * (len(columns) - len(row))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def shown(cell: Cell) -> str:
    """Three digits that count."""
    if cell is None:
        return ""
    if not isinstance(cell, float):
        return str(cell)
    if math.isnan(cell):
        return "not measured"
    if cell == 0 or abs(cell) >= 100:
        return f"{cell:.0f}"
    return f"{cell:.{max(0, 2 - math.floor(math.log10(abs(cell))))}f}"


def _line(finding: Finding) -> list[Cell]:
    bar = None
    if finding.bar is not None:
        bar = f"{'at least' if finding.at_least else 'at most'} {shown(float(finding.bar))}"
    measured = f"{shown(float(finding.measured))} {finding.unit}".strip()
    return [finding.must_hold, finding.what, measured, bar, VERDICTS[finding.holds]]
