"""Images that Parquet files name or hold."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.parquet_files import ParquetTable
from serve_app.jobs.inputs.parquet_images import ParquetImages
from tests.jobs.inputs.samples import files, maker, pairs, write_table


def opened(folder: Path, columns: dict[str, Any], group: int | None = None) -> ParquetImages:
    file = write_table(folder / "t.parquet", columns, group=group)
    return ParquetImages(ParquetTable(files(), [str(file)]), maker(folder))


class Counting(ParquetTable):
    """How many rows were read."""

    read = 0

    def batches(self, start: int, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(self.group_start(start), columns, size):
            Counting.read += len(batch)
            skip = max(0, start - self.group_start(start))
            start -= min(skip, len(batch))
            if len(batch) > skip:
                yield batch.slice(skip)


def test_paths(tmp_path: Path) -> None:
    images = opened(
        tmp_path,
        {"id": [1, 3, 9], "path": ["a.jpg", None, "s3://b/c.jpg"], "label": ["A", "B", ""]},
    )
    rows = list(images.rows(0, 9))
    assert pairs(rows) == [(f"{tmp_path}/a.jpg", "A"), ("", "B"), ("s3://b/c.jpg", "")]
    assert [row.fault for row in rows] == [None, "has no path of an image", "has no label"]
    assert [row.id for row in rows] == [1, 3, 9]


def test_bytes(tmp_path: Path) -> None:
    images = opened(
        tmp_path,
        {
            "bytes": [b"1", None, b"", b"4"],
            "label": ["A", "B", "C", None],
            "path": ["a", "", "", ""],
        },
    )
    rows = list(images.rows(0, 4))
    assert [row.image for row in rows] == [b"1", None, b"", b"4"]
    assert [row.source for row in rows] == [f"{tmp_path}/a"] + [
        f"{tmp_path}/t.parquet#{row}" for row in (1, 2, 3)
    ]
    assert [row.fault is None for row in rows] == [True, False, False, False]


def test_bytes_that_say_they_were_elsewhere(tmp_path: Path) -> None:
    """Where what is written names no place that may be read, the table is where the image is: the
    source is kept, and read again."""
    written = ["/etc/passwd", "../../x.jpg", "a\0b", "https://me:pw@host/a", "a.jpg"]
    columns = {"bytes": [b"1"] * 5, "label": ["A"] * 5, "path": written}
    file = write_table(tmp_path / "t.parquet", columns)
    images = ParquetImages(ParquetTable(files(), [str(file)]), maker(tmp_path, str(tmp_path)))
    rows = list(images.rows(0, 5))
    assert [row.source for row in rows] == [f"{file}#{row}" for row in range(4)] + [
        f"{tmp_path}/a.jpg"
    ]
    assert [row.fault for row in rows] == [None] * 5


@pytest.mark.parametrize("group", [7, 100, 10_000])
def test_any_part_in_any_order(tmp_path: Path, group: int) -> None:
    count = 1000
    content = [str(number).encode() for number in range(count)]
    labels = [f"person {number}" for number in range(count)]
    images = pickle.loads(
        pickle.dumps(opened(tmp_path, {"bytes": content, "label": labels}, group))
    )
    spans = [
        (0, 64),
        (64, 128),
        (300, 364),
        (130, 140),
        (999, 1000),
        (5, 5),
        (0, 1000),
        (990, 2000),
    ]
    for start, stop in spans:
        rows = list(images.rows(start, stop))
        assert [row.position for row in rows] == list(range(start, min(stop, count)))
        assert [row.image for row in rows] == content[start:stop]
        assert [row.label for row in rows] == labels[start:stop]


def test_parts_in_their_order_read_each_row_once(tmp_path: Path) -> None:
    """Also from one row group of everything, and where another worker takes every second part."""
    count = 6400
    labels = pa.array(["A"] * count)
    content = pa.array([b"x" * 10] * count)
    file = write_table(tmp_path / "t.parquet", {"bytes": content, "label": labels})
    for step in (1, 2):
        Counting.read = 0
        images = ParquetImages(Counting(files(), [str(file)]), maker(tmp_path))
        for start in range(0, count, 64 * step):
            assert len(list(images.rows(start, start + 64))) == 64
        assert Counting.read <= count


def test_after_a_failure_it_begins_anew(tmp_path: Path) -> None:
    images = opened(tmp_path, {"bytes": [b"a"] * 200, "label": ["A"] * 200}, 50)
    content = (tmp_path / "t.parquet").read_bytes()
    assert len(list(images.rows(0, 10))) == 10
    (tmp_path / "t.parquet").write_bytes(b"\0" * len(content))
    for _ in range(2):
        with pytest.raises(InvalidRequestError, match="is damaged"):
            list(images.rows(190, 200))
    (tmp_path / "t.parquet").write_bytes(content)
    assert len(list(images.rows(190, 200))) == 10


def test_a_copy_begins_anew(tmp_path: Path) -> None:
    images = opened(tmp_path, {"bytes": [b"a", b"b", b"c"], "label": ["A", "B", "C"]})
    assert [row.image for row in images.rows(0, 2)] == [b"a", b"b"]
    copied = pickle.loads(pickle.dumps(images))
    assert [row.image for row in copied.rows(1, 3)] == [b"b", b"c"]


def test_texts_that_are_not_utf8(tmp_path: Path) -> None:
    labels = pa.array([b"A", b"\xff"], pa.binary()).view(pa.string())
    rows = list(opened(tmp_path, {"path": ["a", "b"], "label": labels}).rows(0, 2))
    assert rows[0].fault is None
    assert (rows[1].label, rows[1].fault) == (r"\xff", "the path or the label is not UTF-8")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a"], "name": ["A"]}, "has the columns path, name; needed"),
        ({"path": [1], "label": ["A"]}, "column path is of type int64, and must hold text"),
        ({"bytes": ["a"], "label": ["A"]}, "column bytes is of type string, and must hold binary"),
        ({"path": ["a", "b"], "label": ["A", "B"], "id": [2, 2]}, "row 1 has id 2, after 2"),
        ({"path": ["a", "b"], "label": ["A", "B"], "id": [2, None]}, "row 1 has no id"),
    ],
)
def test_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        opened(tmp_path, columns)
