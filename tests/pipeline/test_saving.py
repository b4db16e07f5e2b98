"""Where results go: directories as callers name them, names given out once, whole files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serve_app.errors import UnavailableError
from serve_app.pipeline.saving import SavedNames, is_directory, write_whole


def test_every_name_once_in_a_directory(tmp_path: Path) -> None:
    names = SavedNames()
    claimed = [names.claim(tmp_path, stem) for stem in ("a", "a", "b", "a", "a_2", "a_2_2")]
    assert claimed == ["a", "a_2", "b", "a_3", "a_2_2", "a_2_2_2"]
    assert names.claim(tmp_path / "other", "a") == "a"
    assert SavedNames().claim(tmp_path, "a") == "a"


def test_many_threads(tmp_path: Path) -> None:
    names = SavedNames()
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: names.claim(tmp_path, "a"), range(200)))
    assert len(set(claimed)) == 200


@pytest.mark.parametrize(
    ("save_path", "expected"),
    [
        ("out/", True), ("./out/", True), ("out.v1/", True), ("out", True), (".", True),
        ("", True), (".hidden", True), ("folder.jpg", True), ("a/b", True),
        ("out.json", False), ("a/out.png", False), ("file.png", False),
    ],
)  # fmt: skip
def test_what_is_meant(
    save_path: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "file.png").touch()
    assert is_directory(save_path) is expected
    if not save_path.endswith("/"):
        assert is_directory(Path(save_path)) is expected


def test_directories_are_made_and_files_replaced(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "a.json"
    for content in (b"one", b"two"):
        write_whole(target, content)
        assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["a.json"]


def test_what_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "a.json", b"old")
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        real(path, content[:1])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UnavailableError) as raised:
        write_whole(tmp_path / "a.json", b"new")
    assert str(raised.value) == "a.json can't be written: No space left on device"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"old"


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for target, why in {
        tmp_path / "file" / "a.json": "what should be its directory is a file",
        tmp_path / "file" / "deep" / "a.json": "what should be its directory is a file",
        tmp_path / "folder": "Is a directory",
        tmp_path / ("n" * 300): "File name too long",
    }.items():
        with pytest.raises(UnavailableError, match=f"can't be written: .*{why}") as raised:
            write_whole(target, b"")
        assert str(tmp_path) not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
