"""A folder for each person, on a disk or in a bucket."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.folders import read_folders
from tests.jobs.inputs.samples import files, maker, pairs, put

TREE = ["Bob/2.jpg", "Ann/b.PNG", "Ann/a/z.jpg", "Ann/a.txt", "beside.jpg", ".hidden/x.jpg"]
EXPECTED = [("Ann/a/z.jpg", "Ann"), ("Ann/b.PNG", "Ann"), ("Bob/2.jpg", "Bob")]


def test_a_folder_for_each_person(tmp_path: Path) -> None:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"a")
    (tmp_path / "Empty").mkdir()
    images = read_folders(files(), str(tmp_path), maker(tmp_path))
    expected = [(f"{tmp_path}/{path}", label) for path, label in EXPECTED]
    assert pairs(list(images.rows(0, images.total))) == expected
    again = read_folders(files(), str(tmp_path), maker(tmp_path))
    assert again.fingerprint == images.fingerprint
    (tmp_path / "Bob" / "3.jpg").write_bytes(b"a")
    assert read_folders(files(), str(tmp_path), maker(tmp_path)).fingerprint != images.fingerprint


def test_of_a_bucket_in_the_same_order() -> None:
    place = put("people", {f"x/{name}": b"a" for name in TREE})
    images = read_folders(files(), f"{place}/x", maker(f"{place}/x"))
    expected = [(f"s3://people/x/{path}", label) for path, label in EXPECTED]
    assert pairs(list(images.rows(0, images.total))) == expected


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"J\xf6rg")
    folder.mkdir()
    for name in ("a.jpg", os.fsdecode(b"\xff.jpg")):
        (folder / name).write_bytes(b"a")
    images = read_folders(files(), str(tmp_path), maker(tmp_path))
    rows = list(images.rows(0, 2))
    assert [row.label for row in rows] == [r"J\xf6rg", r"J\xf6rg"]
    assert rows[1].source == f"{tmp_path}/J\\xf6rg/\\xff.jpg"
    assert all("not UTF-8" in str(row.fault) for row in rows)


def test_nobody(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    with pytest.raises(InvalidRequestError, match="holds nobody to enrol"):
        read_folders(files(), str(tmp_path), maker(tmp_path))
    with pytest.raises(InvalidRequestError, match="holds nobody to enrol"):
        read_folders(files(), put("nobody", {"a.jpg": b"a"}), maker("s3://nobody"))


def test_a_link_out_of_what_is_allowed_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "diary.jpg").write_bytes(b"a")
    root = tmp_path / "people"
    (root / "Ann").mkdir(parents=True)
    (root / "Ann" / "a.jpg").write_bytes(b"a")
    (root / "Zoe").symlink_to(tmp_path / "secret")
    images = read_folders(files(), str(root), maker(root, str(root)))
    ann, zoe = images.rows(0, images.total)
    assert ann.fault is None
    assert (zoe.source, zoe.label) == (f"{root}/Zoe", "Zoe")
    assert "jobs.inputs" in str(zoe.fault)
