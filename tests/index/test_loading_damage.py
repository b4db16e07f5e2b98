"""Snapshots that are torn, changed, of something else or not there: the next one, or the store."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve_app.index.loading import Loader
from serve_app.index.records import SnapshotRow
from serve_app.index.snapshots import Manifest, SnapshotStorage
from serve_app.index.snapshots.manifest import MANIFEST, decoded
from serve_app.index.store import GalleryStore
from serve_app.types import Metric, Shard

from .samples import build, embeddings, raw
from .shots import FILES, flip, shoot
from .test_loading import load, members
from .watched import labels

POSITIONS = 25


class Gallery:
    """Two snapshots, at seq 2 and 4, of a gallery that stands at 5; and all that is in it."""

    def __init__(self, store: GalleryStore, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self.storage = SnapshotStorage(str(directory))
        build(store, count=9)
        store.remove("staff", [1], with_labels=False)
        self.older = shoot(store, self.storage)
        store.add("staff", ["9"], embeddings(1, seed=3), with_labels=False)
        store.remove("staff", [2], with_labels=False)
        self.newest = shoot(store, self.storage)
        store.add("staff", ["10"], embeddings(1, seed=4), with_labels=False)
        self.members = labels(0, *range(3, 11))

    def file(self, row: SnapshotRow, name: str) -> Path:
        return self.directory / row.name / name

    def loads_from(self, expected: SnapshotRow | None) -> None:
        """All of it, whichever it is read from."""
        loaded = load(self.store, self.storage)
        assert members(loaded) == self.members
        assert loaded.snapshot == (expected.name if expected else None)

    def known(self) -> list[str]:
        info = self.store.describe(["staff"])["staff"]
        return [row.name for row in self.store.snapshots(info.generation, Shard())]


@pytest.fixture
def gallery(store: GalleryStore, tmp_path: Path) -> Gallery:
    return Gallery(store, tmp_path / "snapshots")


def tear(gallery: Gallery, row: SnapshotRow, name: str) -> None:
    file = gallery.file(row, name)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("name", FILES)
def test_the_newest_is_torn(gallery: Gallery, name: str, caplog: pytest.LogCaptureFixture) -> None:
    gallery.loads_from(gallery.newest)
    tear(gallery, gallery.newest, name)
    gallery.loads_from(gallery.older)
    assert gallery.known() == [gallery.older.name], "it is not tried again"
    assert f"snapshot {gallery.newest.name} is refused" in caplog.text
    assert str(gallery.directory) not in caplog.text
    gallery.loads_from(gallery.older)


def test_all_are_torn(gallery: Gallery) -> None:
    tear(gallery, gallery.newest, "vector.index")
    tear(gallery, gallery.older, MANIFEST)
    gallery.loads_from(None)
    assert gallery.known() == []


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere(gallery: Gallery, name: str) -> None:
    """Never an empty or shifted gallery: the older one is used instead."""
    file = gallery.file(gallery.newest, name)
    content = file.read_bytes()
    chance = random.Random(name)
    ends = [0, len(content) // 2, len(content) - 1]
    for position in [*ends, *chance.sample(range(len(content)), POSITIONS)]:
        flip(file, position, chance.randrange(8))
        gallery.loads_from(gallery.older)
        file.write_bytes(content)
        gallery.store.register(gallery.newest)
    gallery.loads_from(gallery.newest)


def rewritten(gallery: Gallery, change: Callable[[Manifest], Manifest]) -> None:
    """The newest's manifest, as whole as one can be."""
    file = gallery.file(gallery.newest, MANIFEST)
    file.write_bytes(change(decoded(file.read_bytes())).encoded())


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "generation": ({"generation": "ffff"}, "its generation is ffff instead of"),
    "shard": ({"shards": 2}, r"its shard is \(0, 2\) instead of \(0, 1\)"),
    "seq": ({"seq": 5}, "its seq is 5 instead of 4"),
    "next id": ({"next_id": 11}, "its next id is 11 instead of 10"),
    "dimension": ({"dimension": 9}, "its dimension is 9 instead of 8"),
    "metric": ({"metric": "L2"}, "its metric is L2 instead of IP"),
    "model": ({"model_id": "other"}, "its model is other instead of sface-1234"),
    "size": ({"size": 7}, "its size is 7 instead of 8"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_snapshot_of_something_else(
    gallery: Gallery, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    changes, message = FOREIGN[name]
    rewritten(gallery, lambda manifest: replace(manifest, **changes))
    gallery.loads_from(gallery.older)
    assert gallery.known() == [gallery.older.name]
    assert any(
        record.levelno == logging.ERROR and re.search(message, record.getMessage())
        for record in caplog.records
    )
    assert str(gallery.directory) not in caplog.text


def test_an_edited_seq_skips_nothing(gallery: Gallery) -> None:
    """Valid JSON that says more has happened than is in the files: changes would be left out."""
    file = gallery.file(gallery.newest, MANIFEST)
    file.write_bytes(file.read_bytes().replace(b'"seq":4', b'"seq":5'))
    gallery.loads_from(gallery.older)


def test_row_and_manifest_that_agree_on_a_wrong_size(gallery: Gallery, file: Path) -> None:
    with raw(file) as connection:
        connection.execute("UPDATE snapshot SET size = 7 WHERE seq = 4")
    rewritten(gallery, lambda manifest: replace(manifest, size=7))
    gallery.loads_from(gallery.older)


@pytest.mark.parametrize(
    ("metric", "dimension", "model"),
    [(Metric.L2, 8, "sface-1234"), (Metric.IP, 9, "sface-1234"), (Metric.IP, 8, "other")],
)
def test_files_of_another_gallery(
    gallery: Gallery, metric: Metric, dimension: int, model: str
) -> None:
    """Whole, in the newest's place."""
    others = replace(embeddings(8, dimension, seed=7), model_id=model)
    names = ["x"] * 8
    gallery.store.create("other", "Flat", metric, names, others, with_labels=False)
    row = shoot(gallery.store, gallery.storage, "other")
    (gallery.directory / gallery.newest.name).rename(gallery.directory / "away")
    (gallery.directory / row.name).rename(gallery.directory / gallery.newest.name)
    gallery.loads_from(gallery.older)


def test_one_that_is_on_another_node(gallery: Gallery) -> None:
    """It is used no less by those who have it."""
    (gallery.directory / gallery.newest.name).rename(gallery.directory / "away")
    gallery.loads_from(gallery.older)
    assert gallery.known() == [gallery.newest.name, gallery.older.name]
    (gallery.directory / "away").rename(gallery.directory / gallery.newest.name)
    gallery.loads_from(gallery.newest)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "no", "/secret/place"), OSError(5, "Input/output error")]
)
def test_one_that_cannot_be_read(
    gallery: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: OSError,
) -> None:
    read = gallery.storage._manifest

    def fails(name: str) -> Manifest:
        if name == gallery.newest.name:
            raise error
        return read(name)

    with monkeypatch.context() as patch:
        patch.setattr(gallery.storage, "_manifest", fails)
        gallery.loads_from(gallery.older)
    assert "secret" not in caplog.text
    assert len(gallery.known()) == 2
    gallery.loads_from(gallery.newest)


def test_without_any_file_nothing_is_lost(gallery: Gallery) -> None:
    for name in gallery.storage.names():
        gallery.storage.remove(name)
    gallery.loads_from(None)


def test_a_fresh_loader_finds_what_another_left(gallery: Gallery, url: str) -> None:
    other = GalleryStore(url)
    info = other.describe(["staff"])["staff"]
    storage = SnapshotStorage(f"file://{gallery.directory}")
    loaded = Loader(other, Shard(), storage).load(info)
    assert members(loaded) == gallery.members
    assert loaded.snapshot == gallery.newest.name
    other.close()
