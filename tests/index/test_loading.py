"""A gallery into memory: all of it, from whatever snapshots there are, or an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import GalleryNotFoundError, UnavailableError
from serve_app.index.loading import Loaded, Loader
from serve_app.index.mutations import Drop
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.types import Metric, Shard

from .brute_force import every_metric
from .samples import DIMENSION, build, embeddings, raw, vectors
from .shots import shoot
from .watched import EVERYONE, WatchedStore, labels

WHOLE = Shard()


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    yield store
    store.close()


@pytest.fixture
def storage(tmp_path: Path) -> SnapshotStorage:
    return SnapshotStorage(str(tmp_path / "snapshots"))


def load(
    store: GalleryStore, storage: SnapshotStorage | None = None, shard: Shard = WHOLE, page: int = 4
) -> Loaded:
    info = store.describe(["staff"], shard)["staff"]
    return Loader(store, shard, storage, page=page).load(info)


def members(loaded: Loaded) -> dict[int, str]:
    (candidates,) = loaded.index.search(vectors(1, loaded.info.dimension), EVERYONE)
    return {candidate.template_id: candidate.label for candidate in candidates}


@every_metric
@pytest.mark.parametrize("page", [1, 4, 12, 100])
def test_from_pages(store: GalleryStore, metric: Metric, page: int) -> None:
    enrolled = build(store, count=12, metric=metric)
    store.remove("staff", [3, 11], with_labels=False)
    pauses: list[int] = []
    info = store.describe(["staff"])["staff"]
    loaded = Loader(store, WHOLE, None, page=page).load(info, lambda: pauses.append(1))
    assert members(loaded) == labels(0, 1, 2, 4, 5, 6, 7, 8, 9, 10)
    assert (loaded.snapshot, loaded.offered) == (None, None)
    assert (loaded.info.seq, loaded.info.size) == (2, 10)
    assert len(pauses) == -(-10 // page)
    found = loaded.index.search(enrolled.vectors[[0, 7]], 1)
    assert [each[0].template_id for each in found] == [0, 7]


def test_an_empty_gallery(store: GalleryStore) -> None:
    build(store, count=0)
    assert members(load(store)) == {}


@pytest.mark.parametrize("of", [2, 3])
def test_shards_hold_all_and_nothing_twice(store: GalleryStore, of: int) -> None:
    build(store, count=13)
    store.remove("staff", [3, 4], with_labels=False)
    parts = [members(load(store, shard=Shard(number, of))) for number in range(of)]
    for number, part in enumerate(parts):
        assert all(each % of == number for each in part)
    together = {number: label for part in parts for number, label in part.items()}
    assert together == labels(*(set(range(13)) - {3, 4}))


def test_from_a_snapshot_and_what_came_since(
    store: GalleryStore, watched: WatchedStore, storage: SnapshotStorage
) -> None:
    build(store, count=12)
    store.remove("staff", [2], with_labels=False)
    row = shoot(store, storage)
    store.remove("staff", [5, 11], with_labels=False)
    store.add("staff", ["12", "13"], embeddings(2, seed=5), with_labels=False)
    store.remove("staff", [12], with_labels=False)
    loaded = load(watched, storage)
    assert members(loaded) == labels(0, 1, 3, 4, 6, 7, 8, 9, 10, 13)
    assert (loaded.snapshot, loaded.offered) == (row.name, row.name)
    assert (loaded.index.sealed_rows, loaded.index.growing_rows) == (11, 1)
    assert watched.pages == 2, "only what is newer is read from the store"


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_changes_between_pages(
    store: GalleryStore, watched: WatchedStore, storage: SnapshotStorage, with_snapshot: bool
) -> None:
    """Of what was read, of what was not read yet, and of what came meanwhile."""
    build(store, count=6)
    if with_snapshot:
        shoot(store, storage)
        store.remove("staff", [4], with_labels=False)
    store.add("staff", [str(n) for n in range(6, 14)], embeddings(8, seed=3), with_labels=False)
    first = 1 if with_snapshot else 3  # the page that begins at id 6, or after it

    def change(page: int) -> None:
        if page == first:
            store.remove("staff", [1, 7, 12], with_labels=False)
            store.add("staff", ["14", "15"], embeddings(2, seed=4), with_labels=False)
        if page == first + 1:
            store.remove("staff", [0, 6, 14], with_labels=False)
        if page == first + 2:
            store.add("staff", ["16", "17"], embeddings(2, seed=6), with_labels=False)
            store.remove("staff", [16], with_labels=False)

    watched.before_page = change
    loaded = load(watched, storage)
    expected = set(range(18)) - {0, 1, 6, 7, 12, 14, 16} - ({4} if with_snapshot else set())
    assert members(loaded) == labels(*expected)
    assert loaded.info.seq == store.describe(["staff"])["staff"].seq


def test_a_gallery_that_is_replaced_meanwhile(store: GalleryStore, watched: WatchedStore) -> None:
    build(store, count=9)

    def replace(page: int) -> None:
        if page == 2:
            store.do(Drop("staff"))
            build(store, count=9)

    watched.before_page = replace
    with pytest.raises(GalleryNotFoundError, match="gallery staff was replaced"):
        load(watched)


def test_a_history_that_was_pruned(
    store: GalleryStore, watched: WatchedStore, storage: SnapshotStorage
) -> None:
    """Nobody knows any more what was removed since the snapshot: it is worth nothing."""
    build(store, count=12)
    shoot(store, storage)
    store.remove("staff", [3, 4], with_labels=False)
    store.prune(0, 0)
    loaded = load(watched, storage)
    assert members(loaded) == labels(0, 1, 2, *range(5, 12))
    assert loaded.snapshot is None
    assert store.every_snapshot() == []


def test_pruned_while_it_is_read(store: GalleryStore, watched: WatchedStore) -> None:
    build(store, count=9)

    def prune(page: int) -> None:
        if page == 2:
            store.remove("staff", [0], with_labels=False)
            store.prune(0, 0)

    watched.before_page = prune
    assert members(load(watched)) == labels(*range(1, 9))


@pytest.mark.parametrize("of", [1, 2])
def test_a_gallery_that_lost_templates_is_not_served(
    store: GalleryStore, file: Path, storage: SnapshotStorage, of: int
) -> None:
    build(store, count=8)
    shard = Shard(0, of)
    shoot(store, storage, shard=shard)
    with raw(file) as connection:
        connection.execute("DELETE FROM template WHERE id = 4")
    with pytest.raises(UnavailableError, match="it is damaged, restore a backup"):
        # A shard's pages and count are wrong alike: its snapshot tells.
        load(store, storage if of > 1 else None, shard)


def test_another_gallery_of_the_same_seq_is_no_damage(
    store: GalleryStore, watched: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was replaced between the last read and the count: what was read was right then."""
    build(store, count=8)
    count = watched.live_count

    def replaced(*arguments: object) -> int:
        store.do(Drop("staff"))
        build(store, count=8)
        return count(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(watched, "live_count", replaced)
    assert members(load(watched, shard=Shard(0, 2))) == labels(0, 2, 4, 6)


def test_no_storage_no_snapshots(store: GalleryStore, storage: SnapshotStorage) -> None:
    build(store, count=5)
    row = shoot(store, storage)
    loaded = load(store, None)
    assert members(loaded) == labels(*range(5))
    assert (loaded.snapshot, loaded.offered) == (None, row.name)


@pytest.mark.parametrize("index_type", ["Flat", "IVF", "HNSW32", "IVF8,SQ8", "PCA7,Flat"])
def test_every_index_type(
    store: GalleryStore,
    storage: SnapshotStorage,
    index_type: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="serve_app")
    enrolled = build(store, count=400, index_type=index_type)
    shoot(store, storage)
    store.remove("staff", range(0, 400, 2), with_labels=False)
    late = embeddings(1, seed=9)
    store.add("staff", ["late"], late, with_labels=False)
    loaded = load(store, storage, page=1000)
    assert loaded.index.index_type_in_use == index_type
    assert (loaded.index.sealed_rows, loaded.index.growing_rows) == (400, 1)
    assert loaded.index.search(late.vectors, 1)[0][0].label == "late"
    for candidates in loaded.index.search(enrolled.vectors[:50], 20):
        assert all(each.template_id % 2 or each.template_id == 400 for each in candidates)
    near = loaded.index.search(enrolled.vectors[1::2], 5)
    hits = [number in {c.template_id for c in found} for number, found in
            zip(range(1, 400, 2), near, strict=True)]  # fmt: skip
    assert np.mean(hits) > 0.8
    assert "refused" not in caplog.text


def test_dimensions_are_those_of_the_samples(store: GalleryStore) -> None:
    build(store, count=2)
    assert load(store).info.dimension == DIMENSION
