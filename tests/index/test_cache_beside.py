"""Galleries that are read beside: nobody else waits, and nobody gets less than was acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from serve_app.errors import GalleryNotFoundError
from serve_app.index.cache import GalleryCache
from serve_app.index.loading import Loader
from serve_app.index.mutations import Drop
from serve_app.index.records import Moment, Passed
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.types import SearchResult, Shard

from .samples import build, embeddings
from .shots import shoot
from .watched import (
    Gate,
    WatchedStore,
    deferred,
    labels,
    members,
    people,
    request,
    settled,
)

LOAD = "load"


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    yield store
    store.close()


@pytest.fixture
def cache(watched: WatchedStore) -> Iterator[GalleryCache]:
    """Everything is long enough to be read beside."""
    cache = GalleryCache(watched, inline=0)
    yield cache
    cache.close()


@pytest.mark.parametrize("catches_up", [False, True])
@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_read_that_began_before_a_change_does_not_answer_who_came_after(
    store: GalleryStore,
    watched: WatchedStore,
    cache: GalleryCache,
    change: str,
    catches_up: bool,
) -> None:
    """The read is held after its last look at the store, before it is served: the whole gallery's,
    or that of many changes."""
    build(store, count=4)
    expected = labels(0, 1, 2, 3)
    if catches_up:
        assert people(cache) == expected
        store.add("staff", ["4"], embeddings(1, seed=4), with_labels=False)
        expected[4] = "4"
    gate = Gate(LOAD)
    watched.after_changes = gate
    before = deferred(cache)
    gate.wait()
    if change == "add":
        store.add("staff", ["late"], embeddings(1, seed=5), with_labels=False)
        after_change = {**expected, len(expected): "late"}
    else:
        store.remove("staff", [2], with_labels=False)
        after_change = {n: label for n, label in expected.items() if n != 2}
    after = deferred(cache)
    assert not before.done()
    assert not after.done()
    watched.after_changes = lambda: None
    gate.opened.set()
    assert members(after) == after_change
    assert members(before) in (expected, after_change)
    assert people(cache) == after_change


def test_many_changes_during_one_read_each_with_a_search(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=1)
    gate = Gate(LOAD)
    watched.after_changes = gate
    futures = [deferred(cache)]
    gate.wait()
    for number in range(1, 8):
        store.add("staff", [str(number)], embeddings(1, seed=number), with_labels=False)
        futures.append(deferred(cache))
    watched.after_changes = lambda: None
    gate.opened.set()
    for number, future in enumerate(futures):
        assert members(future).items() >= labels(*range(number + 1)).items()


def test_another_gallerys_search_does_not_wait(
    store: GalleryStore, watched: WatchedStore, url: str
) -> None:
    build(store, "large", 50)
    build(store, "small", 2)
    cache = GalleryCache(watched, inline=10)
    gate = Gate(LOAD)
    watched.before_page = gate
    asked = [request("large"), request("small"), request("nobody")]
    large, small, nobody = cache.search(asked)
    gate.wait()
    assert isinstance(large, Future)
    assert isinstance(small, SearchResult)
    assert isinstance(nobody, GalleryNotFoundError)
    store.add("small", ["2"], embeddings(1, seed=3), with_labels=False)
    assert people(cache, "small") == labels(0, 1, 2)
    assert not large.done()
    gate.opened.set()
    assert len(members(large)) == 50
    cache.close()


def test_two_long_swaps_hold_up_no_read(
    store: GalleryStore, watched: WatchedStore, tmp_path: Path
) -> None:
    storage = SnapshotStorage(str(tmp_path / "snapshots"))
    cache = GalleryCache(watched, None, Loader(watched, Shard(), storage))
    keys = ["a", "b", "c"]
    for key in keys:
        build(store, key)
        people(cache, key)
        shoot(store, storage, key)
    gate = Gate("swap")
    watched.before_page = gate
    for key in keys:
        people(cache, key)  # begins to swap
    gate.wait()
    build(store, "d")
    shoot(store, storage, "d")
    assert people(cache, "d") == labels(0, 1, 2)
    gate.opened.set()
    cache.wait_for_swaps()
    cache.close()


def test_one_read_serves_all_who_wait(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=5)
    gate = Gate(LOAD)
    watched.before_page = gate
    futures = [deferred(cache) for _ in range(5)]
    gate.opened.set()
    assert [members(future) for future in futures] == [labels(*range(5))] * 5
    assert watched.loads == 1


def test_a_generation_that_changes_during_a_read(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    """Who asked before may be told to ask again; who asks after gets the new one."""
    build(store, count=4)
    gate = Gate(LOAD)
    watched.after_changes = gate
    before = deferred(cache)
    gate.wait()
    store.do(Drop("staff"))
    build(store, count=2)
    after = deferred(cache)
    watched.after_changes = lambda: None
    gate.opened.set()
    assert members(after) == labels(0, 1)
    assert members(before) in (labels(0, 1, 2, 3), labels(0, 1))
    assert people(cache) == labels(0, 1)


def test_a_gallery_that_is_dropped_during_a_read(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=4)
    gate = Gate(LOAD)
    watched.before_page = gate
    before = deferred(cache)
    gate.wait()
    store.do(Drop("staff"))
    (gone,) = cache.search([request()])
    assert isinstance(gone, GalleryNotFoundError)
    gate.opened.set()
    with pytest.raises(GalleryNotFoundError):
        members(before)


def test_a_moment_that_is_passed_during_a_read(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=2)
    generation = store.describe(["staff"])["staff"].generation
    gate = Gate(LOAD)
    watched.before_page = gate
    early = deferred(cache, request(at=Moment(generation, 1)))
    gate.wait()
    store.add("staff", ["2"], embeddings(1, seed=1), with_labels=False)
    late = deferred(cache, request(at=Moment(generation, 2)))
    gate.opened.set()
    assert settled([early]) == [Passed(Moment(generation, 2))]
    assert members(late) == labels(0, 1, 2)
