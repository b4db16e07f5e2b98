"""Galleries that are read before they are served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.index.cache import GalleryCache
from serve_app.index.loading import Loader
from serve_app.index.preloads import Preloads
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.index.upkeep.building import build_snapshot
from serve_app.types import GalleryInfo, JobMode, Shard

from .samples import build, embeddings, info_of
from .staged_rows import HOLDER, begun, new, plain
from .watched import PATIENCE_S, Gate, WatchedStore, deferred, labels, members, people, request


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


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def staged(store: GalleryStore, count: int = 5, mode: JobMode = JobMode.REPLACE) -> GalleryInfo:
    jobs = JobStore(store)
    job = begun(jobs, mode=mode)
    jobs.stage("job", HOLDER, plain(0, count))
    return jobs.staged(jobs.job(job.id))


def publish(store: GalleryStore) -> GalleryInfo:
    return JobStore(store).publish("job", HOLDER, "")


def preloaded(cache: GalleryCache, info: GalleryInfo) -> None:
    cache.preloads.begin(info)
    until(lambda: cache.preloads.is_loaded(info.generation))


def test_it_is_found_in_memory_after_the_switch(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store)
    assert members(deferred(cache)) == labels(0, 1, 2)
    info = staged(store)
    preloaded(cache, info)
    assert people(cache) == labels(0, 1, 2)
    publish(store)
    loads = watched.loads
    (answer,) = cache.search([request()])
    assert not isinstance(answer, Future), "nothing is waited for"
    assert people(cache) == new(5)
    assert watched.loads == loads
    assert cache.preloads.held() == set()
    assert cache._entries["staff"].info == info_of(store)


def test_changes_after_the_switch_are_caught_up(store: GalleryStore, cache: GalleryCache) -> None:
    info = staged(store, mode=JobMode.CREATE)
    preloaded(cache, info)
    publish(store)
    store.add("staff", ["late"], embeddings(1), with_labels=False)
    store.remove("staff", [0], with_labels=False)
    expected = new(5) | {5: "late"}
    del expected[0]
    assert people(cache) == expected


def test_a_search_waits_for_one_that_is_under_way(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    gate = Gate("preload")
    watched.before_page = gate
    info = staged(store)
    cache.preloads.begin(info)
    cache.preloads.begin(info)  # once only
    gate.wait()
    assert cache.preloads.has(info.generation)
    assert not cache.preloads.is_loaded(info.generation)
    publish(store)
    waiting = deferred(cache)
    gate.opened.set()
    assert members(waiting) == new(5)
    assert watched.loads == 1


def test_one_that_is_dropped_under_way_is_read_by_who_waits_for_it(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    gate = Gate("preload")
    watched.before_page = gate
    info = staged(store)
    cache.preloads.begin(info)
    gate.wait()
    publish(store)
    waiting = deferred(cache)
    cache.preloads.drop(info.generation)
    gate.opened.set()
    assert members(waiting) == new(5)
    assert not cache.preloads.has(info.generation)


def test_one_that_failed_is_read_at_the_first_search(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    info = staged(store)
    watched.fail_changes = True
    cache.preloads.begin(info)
    until(lambda: not cache.preloads.has(info.generation))
    watched.fail_changes = False
    publish(store)
    assert people(cache) == new(5)


def test_what_was_read_too_early_is_not_served(store: GalleryStore, cache: GalleryCache) -> None:
    """Half of what was staged: its seq is the same."""
    info = staged(store)
    preloaded(cache, info)
    JobStore(store).stage("job", HOLDER, plain(5, 5))
    publish(store)
    assert people(cache) == new(10)


def test_dropped_ones_take_no_memory(store: GalleryStore) -> None:
    info = staged(store)
    preloads = Preloads(Loader(store, Shard(), None))
    preloads.begin(info)
    until(lambda: preloads.is_loaded(info.generation))
    assert preloads.held() == {info.generation}
    preloads.drop(info.generation)
    preloads.drop(info.generation)
    assert preloads.held() == set()
    assert preloads.take(info) is None
    preloads.close()


def test_the_old_one_is_released_at_the_switch(store: GalleryStore, cache: GalleryCache) -> None:
    build(store)
    people(cache)
    old = cache._entries["staff"]
    info = staged(store)
    preloaded(cache, info)
    cache.adopt(info_of(store))  # not yet
    assert cache._entries["staff"] is old
    publish(store)
    cache.adopt(info_of(store))
    assert cache._entries["staff"].info.generation == info.generation
    assert len(cache._entries) == 1
    assert cache.preloads.held() == set()


@pytest.mark.parametrize("number", [0, 1])
def test_with_the_snapshot_that_the_job_built(
    store: GalleryStore, tmp_path: Path, number: int
) -> None:
    storage, shard = SnapshotStorage(str(tmp_path / "snapshots")), Shard(number, 2)
    info = staged(store, 300)
    built = build_snapshot(store, storage, info, shard, threads=1)
    assert built is not None
    cache = GalleryCache(store, shard, Loader(store, shard, storage), inline=0)
    known = store.of_generation(info.generation, shard)
    assert known == replace(info, snapshot=built.name)
    preloaded(cache, known)
    publish(store)
    assert people(cache) == {n: label for n, label in new(300).items() if n % 2 == number}
    assert cache._entries["staff"].snapshot == built.name
    assert cache._entries["staff"].index.sealed_rows == 150
    cache.close()
