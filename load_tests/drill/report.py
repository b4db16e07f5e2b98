"""The drill's figures as a table for readers."""

from __future__ import annotations

from collections.abc import Mapping

from load_tests.drill.verdict import Verdict
from load_tests.findings import Cell
from load_tests.report.markdown import table

COLUMNS = [
    "", "requests", "lost without a retry", "lost", "acknowledged changes", "of them lost",
    "made twice", "reads", "stale", "p50 ms", "p99 ms", "longest s", "longest silence s",
]  # fmt: skip


def told(verdict: Verdict) -> str:
    """In a line."""
    holds = "holds" if verdict.holds else "DOES NOT HOLD"
    statuses = ", ".join(f"{count} of {status}" for status, count in verdict.statuses.items())
    return (
        f"{holds}: {verdict.lost} of {verdict.requests} requests lost ({verdict.lost_at_once} "
        f"without a retry), {verdict.changes_lost} of {verdict.changes} changes lost, "
        f"{verdict.stale} of {verdict.reads} reads stale; attempts: {statuses}"
    )


def report(verdicts: Mapping[str, Verdict]) -> str:
    rows: list[list[Cell]] = [
        [
            title, one.requests, one.lost_at_once, one.lost, one.changes, one.changes_lost,
            one.changes_doubled, one.reads, one.stale, 1e3 * one.p50_s, 1e3 * one.p99_s,
            one.longest_s, one.gap_s,
        ]
        for title, one in verdicts.items()
    ]  # fmt: skip
    return "\n".join(table(COLUMNS, rows)) + "\n"
