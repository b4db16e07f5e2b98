"""Marks are found wherever they lie, and what can't be read is not called clean."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from serve_app.index.erasure import scanning
from serve_app.index.erasure.scanning import Marks, scan
from tests.index.samples import vectors

MARKS = Marks(["erase-check-1234", "erase-check-5678"], vectors(2, 128))
QUARTERS = [part.astype("<f4").tobytes() for part in np.split(MARKS.vectors[1], 4)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"nobody", []),
        (b"..erase-check-5678..", ["label"]),
        ("x erase-check-1234".encode("utf-16-le"), ["label"]),
        ("x erase-check-1234".encode("utf-16-be"), ["label"]),
        (b"erase-check-0000", []),
        *((b"x" + quarter + b"y", ["embedding"]) for quarter in QUARTERS),
        (QUARTERS[0][:-4], []),
        (QUARTERS[2] + b"erase-check-5678", ["embedding", "label"]),
        (gzip.compress(b"log\nerase-check-5678\n"), ["label"]),
        (b"\x1f\x8bno gzip erase-check-5678", ["label"]),
    ],
)
def test_what_gives_a_template_away(content: bytes, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    report = scan([tmp_path], MARKS)
    assert report.found == ({tmp_path / "file": found} if found else {})
    assert report.clean is (not found)
    assert (report.files, report.size) == (1, len(content))


@pytest.mark.parametrize("block", [1, 7, 64, 300])
def test_where_blocks_meet(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "BLOCK", block)
    (tmp_path / "file").write_bytes(b"." * 250 + QUARTERS[3] + b"erase-check-1234")
    assert scan([tmp_path], MARKS).found == {tmp_path / "file": ["embedding", "label"]}


def test_each_file_once_and_only_files(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "one").write_bytes(b"123")
    (tmp_path / "two").symlink_to(tmp_path / "deep" / "er" / "one")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    report = scan([tmp_path, tmp_path / "deep", tmp_path / "deep" / "er" / "one"], MARKS)
    assert (report.files, report.size, report.clean) == (1, 3, True)
    assert scan([tmp_path / "nowhere"], MARKS).files == 0


def test_a_file_that_cannot_be_read_is_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_bytes(b"x")
    (tmp_path / "theirs").write_bytes(b"x")
    opened = Path.open

    def refuse(path: Path, mode: str) -> object:
        if path.name == "theirs":
            raise PermissionError
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    report = scan([tmp_path], MARKS)
    assert report.unreadable == [tmp_path / "theirs"]
    assert not report.clean


def test_a_file_that_vanishes_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path, mode: str) -> object:
        raise FileNotFoundError

    (tmp_path / "one").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", gone)
    assert scan([tmp_path], MARKS).clean


def test_tiny_embeddings() -> None:
    assert all(Marks([], vectors(1, 2)).needles())
