"""Rows from what a table says, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.inputs.samples import maker


def test_sources_are_absolute(tmp_path: Path) -> None:
    row = maker(tmp_path).row(3, "a/b.jpg", "Ann", 7)
    assert (row.position, row.source, row.label, row.id) == (3, f"{tmp_path}/a/b.jpg", "Ann", 7)
    assert row.fault is None
    assert maker("s3://b/x").row(0, "c.jpg", "Ann").source == "s3://b/x/c.jpg"


@pytest.mark.parametrize(
    ("written", "label", "fault"),
    [(None, "Ann", "no path"), ("", "Ann", "no path"), ("a\0b", "Ann", "NUL"),
     ("a", None, "no label"), ("a", "", "no label"), ("a", "  ", "no label"),
     ("a", "A\0", "label holds the character NUL")],
)  # fmt: skip
def test_faults(tmp_path: Path, written: str | None, label: str | None, fault: str) -> None:
    row = maker(tmp_path).row(0, written, label)
    assert fault in str(row.fault)
    assert "\0" not in row.source + row.label


def test_a_row_that_leads_elsewhere_is_its_own_fault(tmp_path: Path) -> None:
    inside = maker(tmp_path, str(tmp_path))
    assert inside.row(0, "a.jpg", "Ann").fault is None
    for elsewhere in ("/etc/passwd", "../x.jpg", "https://host.example/a.jpg", "s3://b/a.jpg"):
        assert "jobs.inputs" in str(inside.row(0, elsewhere, "Ann").fault)
