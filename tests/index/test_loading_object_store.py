"""Snapshots in an object store: built, read, torn and pruned as in a directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.index.cache import GalleryCache
from serve_app.index.loading import Loader
from serve_app.index.mutations import Optimize
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep.keeper import Keeper
from serve_app.types import Shard

from .keepers import EAGER, OFTEN, Builds
from .samples import build, embeddings
from .shots import FILES, shoot
from .snapshots.places import Place, memory_place
from .test_loading import load, members
from .watched import labels, people

WHOLE = Shard()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with memory_place(tmp_path) as place:
        yield place


def test_there_and_back(store: GalleryStore, place: Place) -> None:
    build(store, count=9, index_type="HNSW32")
    row = shoot(store, place.storage)
    assert place.everything() == sorted(f"{place.root}/{row.name}/{name}" for name in FILES)
    store.remove("staff", [4], with_labels=False)
    loaded = load(store, place.storage)
    assert loaded.snapshot == row.name
    assert members(loaded) == labels(0, 1, 2, 3, 5, 6, 7, 8)
    assert loaded.index.index_type_in_use == "HNSW32"
    assert place.unfinished() == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
def test_the_newest_is_torn(store: GalleryStore, place: Place, name: str, how: str) -> None:
    build(store, count=9)
    older = shoot(store, place.storage)
    store.add("staff", ["9"], embeddings(1, seed=9), with_labels=False)
    newest = shoot(store, place.storage)
    file = f"{newest.name}/{name}"
    content = place.read(file)
    if how == "missing":
        place.delete(file)
    elif how == "truncated":
        place.write(file, content[:-1])
    else:
        place.write(file, content[:50] + bytes([content[50] ^ 1]) + content[51:])
    loaded = load(store, place.storage)
    assert loaded.snapshot == older.name
    assert members(loaded) == labels(*range(10))
    assert store.every_snapshot() == [older]


class NoCredentialsError(Exception):
    """As a client's, which is no OSError."""


@pytest.mark.parametrize("method", ["cat_file", "get_file"])
def test_a_store_that_fails_is_no_reason_not_to_search(
    store: GalleryStore,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    build(store, count=9)
    row = shoot(store, place.storage)

    def fails(*_: object, **__: object) -> None:
        raise NoCredentialsError("https://user:secret@host")

    with monkeypatch.context() as patch:
        patch.setattr(place.storage._files, method, fails)
        loaded = load(store, place.storage)
    assert members(loaded) == labels(*range(9))
    assert loaded.snapshot is None
    assert store.every_snapshot() == [row], "it is tried again"
    assert "secret" not in caplog.text


@pytest.mark.parametrize("method", ["put_file", "pipe_file"])
def test_an_upload_that_fails_is_told_to_nobody(
    store: GalleryStore, place: Place, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    build(store, count=9)

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(place.storage._files, method, fails)
    with pytest.raises(OSError, match="No space left"):
        shoot(store, place.storage)
    assert store.every_snapshot() == []
    assert members(load(store, place.storage)) == labels(*range(9))


def test_a_keeper_and_a_cache(store: GalleryStore, place: Place) -> None:
    keeper = Keeper(
        store, place.storage, ("", ""), WHOLE, replace(EAGER, keep=1), OFTEN,
        start_build=Builds(store, place.storage),
    )  # fmt: skip
    cache = GalleryCache(store, None, Loader(store, WHOLE, place.storage))
    build(store, count=9, index_type="HNSW32")
    for number in range(9, 12):
        keeper.look()
        assert len(place.everything()) == 3
        people(cache)
        cache.wait_for_swaps()
        assert people(cache) == labels(*range(number))
        assert cache._entries["staff"].snapshot == place.storage.names()[0]
        store.add("staff", [str(number)], embeddings(1, seed=number), with_labels=False)
        store.do(Optimize("staff"))
    cache.close()
