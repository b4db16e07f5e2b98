"""The report of a job: a Parquet file and lines of a log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.errors import UnavailableError
from serve_app.index.staged import RowOutcome, SettledRow
from serve_app.index.store.job_store import JobStore
from serve_app.jobs import report
from serve_app.jobs.report import summary, write_report

from .samples import HOLDER, JOB, begun, rows

ROWS = [
    SettledRow(0, "a.jpg", "Ann", RowOutcome.ACCEPTED),
    SettledRow(1, "b.jpg", "Bo 🙂", RowOutcome.REJECTED, "no face"),
    SettledRow(2, "c.jpg", "Ann", RowOutcome.SKIPPED, "the same image", same_as=0),
]


def test_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.parquet"
    write_report(str(file), iter(ROWS))
    table = pq.read_table(file)
    assert table.schema.equals(
        pa.schema(
            [
                ("position", pa.int64()),
                ("source", pa.string()),
                ("label", pa.string()),
                ("outcome", pa.string()),
                ("reason", pa.string()),
                ("same_as", pa.int64()),
            ]
        )
    )
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (0, "a.jpg", "Ann", "accepted", "", None),
        (1, "b.jpg", "Bo 🙂", "rejected", "no face", None),
        (2, "c.jpg", "Ann", "skipped", "the same image", 0),
    ]
    assert [path.name for path in file.parent.iterdir()] == ["report.parquet"]


def test_secrets_of_urls_are_not_written(tmp_path: Path) -> None:
    """Also where the source is kept, to be read again."""
    signed = SettledRow(0, "https://host/a.jpg?sig=secret", "Ann", RowOutcome.ACCEPTED)
    write_report(str(tmp_path / "report.parquet"), [signed])
    table = pq.read_table(tmp_path / "report.parquet")
    assert table["source"].to_pylist() == ["https://host/a.jpg"]


def test_an_old_report_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "report.parquet"
    write_report(str(file), ROWS * 1000)
    write_report(str(file), ROWS[1:2])
    assert pq.read_table(file)["position"].to_pylist() == [1]


def test_a_report_of_nothing_is_a_table_too(tmp_path: Path) -> None:
    file = tmp_path / "report.parquet"
    write_report(str(file), [])
    assert pq.read_table(file).num_rows == 0


def test_a_long_one_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ROWS", 2)
    file = tmp_path / "report.parquet"
    write_report(str(file), ROWS)
    assert pq.ParquetFile(file).num_row_groups == 2
    assert pq.read_table(file)["position"].to_pylist() == [0, 1, 2]


def test_to_an_object_store() -> None:
    write_report("memory://reports/report.parquet", ROWS)
    with fsspec.open("memory://reports/report.parquet", "rb") as file:
        assert pq.read_table(file).num_rows == 3


@pytest.mark.parametrize("url", ["{}/taken/report.parquet", "{}", "nowhere://x/report.parquet"])
def test_a_place_that_can_not_be_written(url: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(UnavailableError, match=r"^the report can't be written: \w+$"):
        write_report(url.format(tmp_path), ROWS)


def test_what_the_store_says_is_said(tmp_path: Path) -> None:
    def broken() -> Iterator[SettledRow]:
        yield ROWS[0]
        raise UnavailableError("the gallery store is unavailable")

    with pytest.raises(UnavailableError, match="gallery store"):
        write_report(str(tmp_path / "report.parquet"), broken())


def test_of_a_job(jobs: JobStore, tmp_path: Path) -> None:
    """Of rows without an image only those are kept that were not enrolled."""
    begun(jobs)
    jobs.stage(JOB, HOLDER, rows(0, 5, {1, 3}))
    file = tmp_path / "report.parquet"
    write_report(str(file), jobs.rows(JOB))
    assert pq.read_table(file)["source"].to_pylist() == ["/photos/1.jpg", "/photos/3.jpg"]


def test_summary(jobs: JobStore) -> None:
    job = replace(begun(jobs), done=20, accepted=10, rejected=7, duplicates=4)
    counts = {"no face": 3, "blank": 1, "torn": 9, "b": 1, "c": 1, "d": 1, "e": 1}
    of_rows = [
        SettledRow(0, "", "", RowOutcome.REJECTED, reason)
        for reason, count in counts.items()
        for _ in range(count)
    ]
    lines = list(summary(job, [*ROWS, *of_rows]))
    assert lines[0] == "20 rows: 10 accepted, 7 rejected, 3 skipped, 4 duplicates"
    assert lines[1:3] == ["  9 x torn", "  4 x no face"]
    assert len(lines) == 1 + report.REASONS


def test_nothing_was_rejected(jobs: JobStore) -> None:
    job = replace(begun(jobs), done=1, accepted=1)
    assert list(summary(job, ROWS[:1])) == [
        "1 rows: 1 accepted, 0 rejected, 0 skipped, 0 duplicates"
    ]
