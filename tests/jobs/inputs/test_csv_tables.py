"""CSV files as lists of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.csv_tables import read_csv
from serve_app.jobs.inputs.listed import ListedImages
from tests.jobs.inputs.samples import files, maker, pairs, put


def read(tmp_path: Path, content: bytes) -> ListedImages:
    (tmp_path / "t.csv").write_bytes(content)
    return read_csv(files(), f"{tmp_path}/t.csv", maker(tmp_path))


def test_rows(tmp_path: Path) -> None:
    images = read(
        tmp_path,
        b'\xef\xbb\xbfnote,path,label,id\r\nx,a.jpg,007,1\r\n,"b, c.jpg","Ann\nLee",5\r\n,,NA,6\r\n'
        b",d.jpg,,9\r\n",
    )
    first, second, third, fourth = images.rows(0, 4)
    assert pairs([first, second]) == [
        (f"{tmp_path}/a.jpg", "007"), (f"{tmp_path}/b, c.jpg", "Ann\nLee")
    ]  # fmt: skip
    assert [row.id for row in (first, second, third, fourth)] == [1, 5, 6, 9]
    assert (third.label, third.fault) == ("NA", "has no path of an image")
    assert fourth.fault == "has no label"


def test_of_a_bucket_with_urls() -> None:
    place = put("csv", {"t.csv": b"url,label\nhttps://h.example/a.jpg,Ann\nb.jpg,Bob\n"})
    images = read_csv(files(), f"{place}/t.csv", maker(place))
    assert pairs(list(images.rows(0, 2))) == [
        ("https://h.example/a.jpg", "Ann"), ("s3://csv/b.jpg", "Bob")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"path,label\n", "has a header and no rows"),
        (b"path,name\na.jpg,Ann\n", "has the columns path, name; needed are path, url or bytes"),
        (b"\xff\xfep\0", "UTF-16"),
        (b"path,label\na.jpg,J\xf6rg\n", "is not UTF-8: save it"),
        (b"path,label\na.jpg,Ann\nb.jpg,B,C\n", "line 3 has 3 fields, the header 2"),
        (b"path,label,id\na.jpg,Ann,x\n", "column id holds something else"),
        (b"path,label,id\na.jpg,Ann,2\nb.jpg,Bob,1\n", "row 1 has id 1, after 2"),
        (b"path,label,id\na.jpg,Ann,\n", "row 0 has no id"),
        (b"bytes,label\nAAAA,Ann\n", "CSV holds text only"),
    ],
)
def test_what_cant_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        read(tmp_path, content)


def test_many_rows_in_blocks(tmp_path: Path) -> None:
    lines = "".join(f"folder/{number}.jpg,person {number}\n" for number in range(100_000))
    images = read(tmp_path, f"path,label\n{lines}".encode())
    assert images.total == 100_000
    assert pairs(list(images.rows(77_777, 77_778))) == [
        (f"{tmp_path}/folder/77777.jpg", "person 77777")
    ]
