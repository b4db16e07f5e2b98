"""Parquet files as one table, from any row on."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.parquet_files import ParquetTable
from tests.jobs.inputs.samples import files, put, write_table


def table(folder: Path, *counts: int, group: int = 10) -> ParquetTable:
    places, start = [], 0
    for number, count in enumerate(counts):
        column = pa.array(range(start, start + count), pa.int64())
        write_table(folder / f"{number}.parquet", {"n": column, "x": column}, group=group)
        places.append(str(folder / f"{number}.parquet"))
        start += count
    return ParquetTable(files(), places)


def read(found: ParquetTable, start: int, size: int = 7) -> list[int]:
    batches = list(found.batches(start, ["n"], size))
    assert all(0 < len(batch) <= size for batch in batches)
    return [number for batch in batches for number in batch.column("n").to_pylist()]


def test_every_start(tmp_path: Path) -> None:
    found = table(tmp_path, 25, 0, 1, 34)
    assert found.total == 60
    copied = pickle.loads(pickle.dumps(found))
    for start in range(62):
        assert read(copied, start) == list(range(start, 60))


def test_what_lies_before_is_not_read(tmp_path: Path) -> None:
    """Damage in a row group that is not needed does not show."""
    found = table(tmp_path, 30)
    content = bytearray((tmp_path / "0.parquet").read_bytes())
    first = pq.read_metadata(tmp_path / "0.parquet").row_group(0).column(0)
    content[4 : 4 + first.total_compressed_size] = b"\xff" * first.total_compressed_size
    (tmp_path / "0.parquet").write_bytes(content)
    assert read(found, 10) == list(range(10, 30))
    with pytest.raises(InvalidRequestError, match=r"0\.parquet is damaged"):
        read(found, 9)


def test_where_a_row_lies(tmp_path: Path) -> None:
    found = table(tmp_path, 25, 35)
    assert found.where(24) == (f"{tmp_path}/0.parquet", 24)
    assert found.where(25) == (f"{tmp_path}/1.parquet", 0)
    assert [found.group_start(position) for position in (0, 9, 10, 24, 25, 59)] == [
        0, 0, 10, 20, 25, 55
    ]  # fmt: skip


def test_of_a_bucket(tmp_path: Path) -> None:
    table(tmp_path, 25)
    place = put("parquet", {"t.parquet": (tmp_path / "0.parquet").read_bytes()})
    assert read(ParquetTable(files(), [f"{place}/t.parquet"]), 13) == list(range(13, 25))


def test_the_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    first = table(tmp_path, 25, 35)
    assert ParquetTable(
        files(), [f"{tmp_path}/0.parquet", f"{tmp_path}/1.parquet"]
    ).fingerprint == (first.fingerprint)
    swapped = ParquetTable(files(), [f"{tmp_path}/1.parquet", f"{tmp_path}/0.parquet"])
    assert swapped.fingerprint != first.fingerprint
    assert table(tmp_path, 25, 36).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"not a table at all", b"PAR1" + b"\xff" * 60 + b"\x30\0\0\0PAR1"]
)
def test_no_parquet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InvalidRequestError, match=r"t\.parquet is (no Parquet file|damaged)"):
        ParquetTable(files(), [f"{tmp_path}/t.parquet"])


def test_cut_off(tmp_path: Path) -> None:
    table(tmp_path, 25)
    content = (tmp_path / "0.parquet").read_bytes()
    (tmp_path / "0.parquet").write_bytes(content[:-10])
    with pytest.raises(InvalidRequestError, match="is no Parquet file, or its end is missing"):
        ParquetTable(files(), [f"{tmp_path}/0.parquet"])


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="has no rows"):
        table(tmp_path, 0, 0)


def test_files_that_differ(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", {"n": pa.array([1], pa.int64())})
    write_table(tmp_path / "b.parquet", {"n": pa.array([1.0])})
    write_table(tmp_path / "c.parquet", {"m": pa.array([1.0])})
    for other in "bc":
        found = ParquetTable(files(), [f"{tmp_path}/a.parquet", f"{tmp_path}/{other}.parquet"])
        with pytest.raises(InvalidRequestError, match=rf"{other}\.parquet has another column n"):
            found.check_same(["n"])


def test_facts_of_the_metadata(tmp_path: Path) -> None:
    for name, metadata in (("a", {"model_id": "m"}), ("b", {}), ("c", {"model_id": "k"})):
        write_table(tmp_path / name, {"n": np.arange(3)}, metadata=metadata)
    assert ParquetTable(files(), [f"{tmp_path}/b"]).facts("model_id") == set()
    places = [f"{tmp_path}/{name}" for name in "abc"]
    assert ParquetTable(files(), places).facts("model_id") == {"m", "k"}
