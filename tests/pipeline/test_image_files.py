"""Image files and directories of them: which are read, in which order, and why others are not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import InvalidRequestError, TooLargeError
from serve_app.pipeline.image_files import (
    IMAGE_SUFFIXES,
    file_fault,
    images_in,
    read_image_file,
    suffix_fault,
)


def made(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def walked(root: str) -> list[str]:
    """As PaddleX finds them: os.walk, then sorted."""
    return sorted(
        os.path.join(folder, name)  # noqa: PTH118 - as PaddleX
        for folder, _, names in os.walk(root)
        for name in names
        if Path(name).suffix.lower() in IMAGE_SUFFIXES
    )


def test_all_below_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["b.jpg", "a/z.png", "a-b.jpg", "a.jpg", "a0/x.BMP", "a/b/c.webp", "B.JPEG", "z/y.TIFF",
             "張/三.gif", "a b.tif"]  # fmt: skip
    made(tmp_path, *names, "notes.txt", "a/x.pdf", "jpg", ".jpg", "c.jpg.part", "empty/.keep")
    root = str(tmp_path)
    assert list(images_in(root)) == walked(root)
    assert len(walked(root)) == len(names)
    assert list(images_in(root + "/")) == walked(root + "/")


@given(st.sets(st.text("aB.-0/ é", min_size=1, max_size=6), max_size=12))
def test_any_names(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    root = tmp_path_factory.mktemp("any")
    for name in names:
        parts = [part for part in name.split("/") if part.strip(".")]
        if parts:
            made(root, "/".join([*parts[:-1], f"{parts[-1]}.jpg"]))
    expected = walked(str(root))
    assert (list(images_in(str(root))) if expected else []) == expected


def test_the_directory_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "images/a.jpg")
    monkeypatch.chdir(tmp_path)
    for root, file in {
        "images": "images/a.jpg", "images/": "images/a.jpg", "./images": "./images/a.jpg",
        ".": "./images/a.jpg",
    }.items():  # fmt: skip
        assert list(images_in(root)) == [file]


def test_links(tmp_path: Path) -> None:
    made(tmp_path, "in/a.jpg", "out/b.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "away.jpg").symlink_to(tmp_path / "out" / "b.jpg")
    (tmp_path / "in" / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    names = [Path(path).name for path in images_in(str(tmp_path / "in"))]
    assert names == ["a.jpg", "away.jpg", "broken.jpg"]


def test_one_directory_is_listed_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        made(tmp_path, f"{number}/a.jpg", f"{number}/b.jpg")
    listed: list[str] = []
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    files = images_in(str(tmp_path))
    for seen in (2, 2, 3, 3):
        next(files)
        assert len(listed) == seen


def test_no_image(tmp_path: Path) -> None:
    made(tmp_path, "in/notes.txt", "in/deep/x.pdf")
    with pytest.raises(InvalidRequestError, match="in: no image file in this directory"):
        list(images_in(str(tmp_path / "in")))


def test_a_directory_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """os.walk leaves it out without a word."""
    made(tmp_path, "a/a.jpg", "b/b.jpg")
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    files = images_in(str(tmp_path))
    assert next(files).endswith("a.jpg")
    with pytest.raises(InvalidRequestError, match="/b: can't be read: Permission denied"):
        next(files)


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "a.jpeg", "a.tif", "a.gif", "noending"])
def test_files_that_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"face")
    assert read_image_file(str(tmp_path / name), 4) == b"face"
    with pytest.raises(TooLargeError, match="of 4 bytes, over the limit of 3 bytes"):
        read_image_file(str(tmp_path / name), 3)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "an empty path"),
        ("nowhere.jpg", "no such file: check the path"),
        ("a.jpg/b.jpg", "can't be read: Not a directory"),
        ("folder.jpg", "a directory, not an image file"),
        ("pipe.jpg", "no regular file"),
        ("a.pdf", "a PDF is not read: save its pages as images first"),
        ("a.PDF", "a PDF is not read: save its pages as images first"),
        ("a.txt", ".txt is not read: give an image file (.jpg .jpeg .png"),
        ("nul\0.jpg", "can't be read: embedded null"),
        ("n" * 300 + ".jpg", "can't be read: File name too long"),
        ("/9j/4AAQ" * 1000, "characters is no path: base64 is not taken here"),
        ("data:image/jpeg;base64,/9j/", "no such file: check the path; base64 is not taken here"),
        ("s3://bucket/a.jpg", "no such file: check the path; only http and https URLs are read"),
    ],
)
def test_files_that_are_not(
    name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path, "a.jpg", "a.pdf", "a.PDF", "a.txt", "folder.jpg/x")
    with socket.socket(socket.AF_UNIX) as pipe:
        pipe.bind("pipe.jpg")
        assert fault in (file_fault(name) or "")
        with pytest.raises(InvalidRequestError) as raised:
            read_image_file(name, 100)
    assert fault in str(raised.value)
    assert len(str(raised.value)) < 200


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, "a.jpg")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InvalidRequestError, match=r"^can't be read: Permission denied$"):
        read_image_file(str(tmp_path / "a.jpg"), 100)


def test_suffixes() -> None:
    assert [suffix_fault(f"a{suffix.upper()}") for suffix in IMAGE_SUFFIXES] == [None] * 8
    assert suffix_fault("a.b/c") is None
    assert suffix_fault("a.svg") is not None


def test_an_open_file_is_checked_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"face")
    places = []

    def check(handle: int) -> None:
        places.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        if len(places) > 1:
            raise InvalidRequestError("not this one")

    assert read_image_file(f"{tmp_path}/a.jpg", 10, check) == b"face"
    assert places == [f"{tmp_path}/a.jpg"]
    with pytest.raises(InvalidRequestError, match="not this one"):
        read_image_file(f"{tmp_path}/a.jpg", 10, check)
