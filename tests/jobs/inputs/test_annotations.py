"""Annotation files for jobs: the tutorial's, from a disk or a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.annotations import read_annotations
from serve_app.jobs.inputs.listed import ListedImages
from tests.jobs.inputs.samples import files, maker, pairs, put


def read(tmp_path: Path, content: bytes) -> ListedImages:
    file = tmp_path / "gallery.txt"
    file.write_bytes(content)
    return read_annotations(files(), str(file), maker(tmp_path))


def test_lines(tmp_path: Path) -> None:
    images = read(tmp_path, b"\xef\xbb\xbfa.jpg Ann Lee\r\n\n sub/b.jpg\tBob\na.jpg Cid")
    assert pairs(list(images.rows(0, 3))) == [
        (f"{tmp_path}/a.jpg", "Ann Lee"), (f"{tmp_path}/sub/b.jpg", "Bob"),
        (f"{tmp_path}/a.jpg", "Cid"),
    ]  # fmt: skip


def test_of_a_bucket() -> None:
    place = put("annotated", {"gallery.txt": b"a.jpg Ann\n"})
    images = read_annotations(files(), f"{place}/gallery.txt", maker(place))
    assert pairs(list(images.rows(0, 1))) == [("s3://annotated/a.jpg", "Ann")]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "names no image"), (b"\n \t\n", "names no image"), (b"\xff\xfea", "UTF-16"),
     (b"a.jpg Ann\nb.jpg\nc.jpg \xe4\n", "2 lines can't be used\nline 2: 'b.jpg' has no label"),
     (b"a.jpg J\xf6rg\n", "is not UTF-8")],
)  # fmt: skip
def test_what_cant_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        read(tmp_path, content)


def test_what_is_too_large_for_a_list(tmp_path: Path) -> None:
    with (tmp_path / "gallery.txt").open("wb") as file:
        file.truncate((1 << 30) + 1)  # takes no room
    with pytest.raises(InvalidRequestError, match="write a table"):
        read_annotations(files(), f"{tmp_path}/gallery.txt", maker(tmp_path))
