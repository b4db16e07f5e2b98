"""A reader gets all of a snapshot or an error, wherever it lies."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.index.snapshots import BadSnapshotError, SnapshotStorage

from .places import CONTENT, NAME, Place, content_of, local_place, publish

POSITIONS = 60
FILES = [*CONTENT, "manifest.json"]


def test_there_and_back(place: Place) -> None:
    assert place.storage.names() == []
    manifest = publish(place.storage)
    assert content_of(place.storage) == CONTENT
    with place.storage.opened(NAME) as (_, found):
        assert found == manifest
    publish(place.storage, other := NAME.replace("5f1e", "6a00"))
    assert place.storage.names() == [NAME, other]
    assert place.unfinished() == []


def test_one_that_is_not_there(place: Place) -> None:
    """As in a directory of another node."""
    with pytest.raises(FileNotFoundError):
        content_of(place.storage)
    publish(place.storage, NAME.replace("5f1e", "6a00"))
    with pytest.raises(FileNotFoundError):
        content_of(place.storage)


@pytest.mark.parametrize("file", FILES)
def test_flipped_bits_anywhere(place: Place, file: str) -> None:
    publish(place.storage)
    content = place.read(f"{NAME}/{file}")
    chance = random.Random(1)
    ends = [0, 1, len(content) - 1]
    for position in [*ends, *chance.sample(range(len(content)), POSITIONS)]:
        flipped = bytearray(content)
        flipped[position] ^= 1 << chance.randrange(8)
        place.write(f"{NAME}/{file}", bytes(flipped))
        with pytest.raises(BadSnapshotError) as caught:
            content_of(place.storage)
        assert place.root not in str(caught.value)
    place.write(f"{NAME}/{file}", content)
    assert content_of(place.storage) == CONTENT


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_truncated_file(place: Place, file: str, left: int) -> None:
    publish(place.storage)
    place.write(f"{NAME}/{file}", place.read(f"{NAME}/{file}")[:left])
    with pytest.raises(BadSnapshotError, match="torn" if file == "manifest.json" else file):
        content_of(place.storage)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file(place: Place, file: str) -> None:
    publish(place.storage)
    place.delete(f"{NAME}/{file}")
    with pytest.raises(BadSnapshotError, match=f"^{file} is missing$"):
        content_of(place.storage)
    assert place.storage.names() == [NAME]  # torn ones are listed: somebody has to remove them
    assert place.unfinished() == []


def test_a_snapshot_under_another_name(place: Place) -> None:
    """Whether it is the one that was asked for is the loader's question: here it is whole."""
    manifest = publish(place.storage, other := "6a00/1-0/x")
    with place.storage.opened(other) as (_, found):
        assert found == manifest


def test_removal(place: Place) -> None:
    place.storage.remove(NAME)
    publish(place.storage)
    publish(place.storage, other := NAME.replace("0a1b", "ffff"))
    place.storage.remove(NAME)
    assert place.storage.names() == [other]
    assert content_of(place.storage, other) == CONTENT
    place.storage.remove(other)
    place.storage.remove(other)
    assert place.everything() == []


def test_folders_of_a_generation_without_snapshots_go(tmp_path: Path) -> None:
    root = tmp_path / "snapshots"
    storage = SnapshotStorage(str(root))
    publish(storage)
    storage.remove(NAME)
    assert list(root.iterdir()) == []


def test_foreign_ones_go_when_they_are_old(place: Place) -> None:
    publish(place.storage)
    place.storage.remove_foreign("6a00/1-0/x", 0)
    place.storage.remove_foreign(NAME, 60)
    assert content_of(place.storage) == CONTENT
    time.sleep(0.02)
    place.storage.remove_foreign(NAME, 0.01)
    assert place.everything() == []


def test_a_torn_upload_goes_as_a_foreign_one(place: Place) -> None:
    publish(place.storage)
    place.delete(f"{NAME}/manifest.json")
    assert place.storage.names() == [NAME]
    time.sleep(0.02)
    place.storage.remove_foreign(NAME, 0.01)
    assert place.everything() == []


def test_leftovers_of_killed_processes_are_swept(place: Place) -> None:
    """Also beside an object store: they hold embeddings."""
    old, fresh = place.storage.workspace(), place.storage.workspace()
    folder = old.__enter__()
    (folder / "vector.index").write_bytes(b"embeddings")
    fresh.__enter__()
    os.utime(folder, (time.time() - 100,) * 2)
    others = place.scratch / "others"
    others.mkdir()
    assert len(place.unfinished()) == 2
    place.storage.sweep(60)
    assert not folder.exists()
    assert len(place.unfinished()) == 1
    assert others.exists()
    assert place.storage.names() == []
    fresh.__exit__(None, None, None)
    assert place.unfinished() == []


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    root = tmp_path / "snapshots"
    place = local_place(root, str(root))
    publish(place.storage)
    folders = [root, (root / NAME).parent, root / NAME]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
    with place.storage.workspace() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_directory_with_signs_that_mean_something(tmp_path: Path) -> None:
    root = tmp_path / "a[1]*{x}?"
    storage = SnapshotStorage(str(root))
    publish(storage)
    assert storage.names() == [NAME]
    assert content_of(storage) == CONTENT
    storage.remove(NAME)
    assert storage.names() == []


@pytest.mark.parametrize("url", ["nosuch://user:secret@host/x", "hdfs://user:secret@host/x"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError, match=r"snapshots\.url: (nosuch|hdfs)://") as caught:
        SnapshotStorage(url)
    assert "secret" not in str(caught.value)
    assert "host" not in str(caught.value)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"snapshots\.url: the directory can't be made") as caught:
        SnapshotStorage(str(tmp_path / "file" / "snapshots"))
    assert str(tmp_path) not in str(caught.value)
