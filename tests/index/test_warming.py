"""Replicas read a gallery before it is switched to, and say so; on both databases."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from serve_app.errors import UnavailableError
from serve_app.index.cache import GalleryCache
from serve_app.index.loading import Loaded, Loader
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.index.warming import LIVE, WARM, Warmer, wait_until_warm
from serve_app.types import Embeddings, GalleryInfo, JobMode, JobState, Metric, Shard

from .samples import MODEL, build, info_of, vectors
from .staged_rows import HOLDER, begun, new, plain
from .watched import PATIENCE_S, answer, labels, people, request

WHOLE = Shard()


class Site:
    """A replica: its store, cache and warmer."""

    def __init__(self, url: str, shard: Shard = WHOLE, loader: type[Loader] = Loader) -> None:
        self.store = GalleryStore(url)
        self.cache = GalleryCache(self.store, shard, loader(self.store, shard, None), inline=0)
        self.warmer = Warmer(self.store, self.cache, shard, look_s=0.05)

    def close(self) -> None:
        self.warmer.stop()
        self.cache.close()
        self.store.close()

    def generation(self, key: str = "staff") -> str | None:
        moment = self.cache.standing_of(key)
        return None if moment is None else moment.generation


@contextmanager
def site(url: str, shard: Shard = WHOLE, loader: type[Loader] = Loader) -> Iterator[Site]:
    made = Site(url, shard, loader)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def running(url: str, shard: Shard = WHOLE, loader: type[Loader] = Loader) -> Iterator[Site]:
    with site(url, shard, loader) as made:
        made.warmer.start()
        until(lambda: bool(made.store.leases(LIVE)))
        yield made


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def staged(store: GalleryStore, count: int = 5, mode: JobMode = JobMode.REPLACE) -> GalleryInfo:
    jobs = JobStore(store)
    begun(jobs, mode=mode)
    jobs.stage("job", HOLDER, plain(0, count))
    return jobs.staged(jobs.job("job"))


def publish(store: GalleryStore) -> GalleryInfo:
    return JobStore(store).publish("job", HOLDER, "")


def never(_: float) -> None:
    raise AssertionError("nothing is to be waited for")


def test_nobody_is_waited_for_where_nobody_is(any_store: GalleryStore) -> None:
    info = staged(any_store)
    assert wait_until_warm(any_store, info.generation, 60, pause=never)
    assert any_store.leases("") == []


@pytest.mark.parametrize("mode", [JobMode.CREATE, JobMode.REPLACE])
def test_a_replica_is_warm_before_the_switch(
    any_store: GalleryStore, database_url: str, mode: JobMode
) -> None:
    if mode is JobMode.REPLACE:
        build(any_store)
    with running(database_url) as replica:
        if mode is JobMode.REPLACE:
            assert people(replica.cache) == labels(0, 1, 2)
        info = staged(any_store, mode=mode)
        assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)
        assert replica.cache.preloads.is_loaded(info.generation)
        publish(any_store)
        (answer,) = replica.cache.search([request()])
        assert not isinstance(answer, Future)
        assert people(replica.cache) == new(5)


def test_the_leases_end_with_the_switch(any_store: GalleryStore, database_url: str) -> None:
    """The replica serves the new one without a search, and is not warm for another switch."""
    build(any_store)
    with running(database_url) as replica:
        people(replica.cache)
        old, info = info_of(any_store).generation, staged(any_store)
        assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)
        publish(any_store)
        assert any_store.leases("publishing/") == []
        until(lambda: replica.generation() == info.generation)
        until(lambda: any_store.leases(WARM) == [])
        assert replica.cache.preloads.held() == set()
        jobs = JobStore(any_store)
        for generation in (old, info.generation):
            assert wait_until_warm(any_store, generation, 30, poll_s=0.02)
            jobs.rollback("staff", generation)
            until(lambda generation=generation: replica.generation() == generation)  # type: ignore[misc]
    assert any_store.leases(LIVE) == [], "whoever stops is not waited for"


def test_every_shards_replicas_are_waited_for(any_store: GalleryStore, database_url: str) -> None:
    shards = [Shard(0, 2), Shard(1, 2)]
    with running(database_url, shards[0]) as first, site(database_url, shards[1]) as second:
        second.warmer.look()  # alive, and busy with something else now
        info = staged(any_store)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(wait_until_warm, any_store, info.generation, 30, poll_s=0.02)
            until(lambda: len(any_store.leases(WARM)) == 1)
            time.sleep(0.2)
            assert not waiting.done()
            second.warmer.look()
            until(lambda: second.cache.preloads.is_loaded(info.generation))
            second.warmer.look()
            assert waiting.result(30)
        publish(any_store)
        for each, ids in ((first, {0, 2, 4}), (second, {1, 3})):
            assert set(people(each.cache)) == ids


def test_a_replica_that_is_too_slow_is_published_without(
    any_store: GalleryStore, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with site(database_url) as replica:
        replica.warmer.look()
        info = staged(any_store)
        begin = time.monotonic()
        assert not wait_until_warm(any_store, info.generation, 0.3, poll_s=0.02)
        assert 0.3 <= time.monotonic() - begin < 5
        assert "1 replicas have not read the gallery yet" in caplog.text
        publish(any_store)
        assert people(replica.cache) == new(5)


def test_a_replica_that_died_is_not_waited_for_long(
    any_store: GalleryStore, database_url: str
) -> None:
    store = GalleryStore(database_url)
    cache = GalleryCache(store)
    dead = Warmer(store, cache, WHOLE, live_s=0.5)
    dead.look()
    assert len(any_store.leases(LIVE)) == 1
    info = staged(any_store)
    begin = time.monotonic()
    assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)
    assert time.monotonic() - begin < 5
    cache.close()
    store.close()


@pytest.mark.parametrize("ends", ["cancelled", "lease ends"])
def test_what_is_not_published_is_let_go_of(
    any_store: GalleryStore, database_url: str, ends: str
) -> None:
    with running(database_url) as replica:
        info = staged(any_store)
        assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)
        if ends == "cancelled":
            JobStore(any_store).end("job", JobState.CANCELLED, "")
        else:
            any_store.give_back_lease(f"publishing/{info.generation}", info.generation)
        until(lambda: replica.cache.preloads.held() == set())
        until(lambda: any_store.leases(WARM) == [])


def test_a_job_that_goes_on_waits_no_second_time(
    any_store: GalleryStore, database_url: str
) -> None:
    with running(database_url):
        info = staged(any_store)
        assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)
        assert wait_until_warm(any_store, info.generation, 30, pause=never)


def test_a_replica_writes_rarely(
    any_store: GalleryStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SQLite a lease is a write that keeps all others out."""
    taken: list[str] = []
    take = GalleryStore.take_lease

    def count(self: GalleryStore, name: str, holder: str, seconds: float) -> bool:
        taken.append(name)
        return take(self, name, holder, seconds)

    monkeypatch.setattr(GalleryStore, "take_lease", count)
    with site(database_url) as replica:
        info = staged(any_store)
        any_store.take_lease(f"publishing/{info.generation}", info.generation, 60)
        taken.clear()
        for _ in range(50):
            replica.warmer.look()
            time.sleep(0.005)
        until(lambda: replica.cache.preloads.is_loaded(info.generation))
        for _ in range(50):
            replica.warmer.look()
    assert [name.partition("/")[0] for name in taken] == ["replica", "warm"]


def test_a_lease_is_prolonged(any_store: GalleryStore, database_url: str) -> None:
    store = GalleryStore(database_url)
    cache = GalleryCache(store)
    warmer = Warmer(store, cache, WHOLE, look_s=0.05, live_s=0.5, prolong_s=0.1)
    warmer.start()
    until(lambda: bool(any_store.leases(LIVE)))
    for _ in range(10):
        time.sleep(0.1)
        assert len(any_store.leases(LIVE)) == 1
    warmer.stop()
    assert any_store.leases(LIVE) == []
    assert "warmer" not in [thread.name for thread in threading.enumerate()]
    cache.close()
    store.close()


def test_it_looks_again_after_a_failure(
    any_store: GalleryStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(database_url) as replica:
        failed = threading.Event()

        def down(_: str) -> list[str]:
            failed.set()
            raise UnavailableError("the gallery store is unavailable")

        with monkeypatch.context() as patch:
            patch.setattr(replica.store, "leases", down)
            assert failed.wait(PATIENCE_S)
        info = staged(any_store)
        assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)


class SlowLoader(Loader):
    """Takes a second more for each load."""

    def load(self, info: GalleryInfo, pause: Callable[[], None] = lambda: None) -> Loaded:
        time.sleep(1)
        return super().load(info, pause)


def test_no_search_waits_at_the_switch(any_store: GalleryStore, database_url: str) -> None:
    """50,000 templates, and a loader that takes its time: searches go on as if nothing were."""
    count, dimension = 50_000, 128
    found = vectors(count, dimension)
    jobs = JobStore(any_store)

    def stage(job_id: str, prefix: str, mode: JobMode) -> str:
        wanted = StagedGallery("Flat", Metric.IP, dimension, MODEL)
        begun(jobs, job_id, mode=mode, wanted=wanted)
        rows = [SettledRow(n, "", f"{prefix} {n}", RowOutcome.ACCEPTED) for n in range(count)]
        jobs.stage(job_id, HOLDER, SettledRows(0, count, rows, found))
        generation = jobs.job(job_id).generation
        assert generation is not None
        return generation

    probes = Embeddings(MODEL, found[7:8])
    answers: list[tuple[str, float]] = []
    stop = threading.Event()
    with running(database_url, loader=SlowLoader) as replica:
        stage("old", "old", JobMode.CREATE)
        jobs.publish("old", HOLDER, "")

        def search() -> None:
            while not stop.is_set():
                begin = time.perf_counter()
                ((candidate,),) = _found(replica.cache, probes)
                answers.append((candidate, time.perf_counter() - begin))
                time.sleep(0.005)

        _found(replica.cache, probes)
        old = weakref.ref(replica.cache._entries["staff"].index)
        with ThreadPoolExecutor(1) as pool:
            searching = pool.submit(search)
            try:
                generation = stage("new", "new", JobMode.REPLACE)
                assert wait_until_warm(any_store, generation, 60, poll_s=0.05)
                assert {label for label, _ in answers} == {"old 7"}
                before = len(answers)
                jobs.publish("new", HOLDER, "")
                until(lambda: bool(answers) and answers[-1][0] == "new 7")
                time.sleep(0.2)
            finally:
                stop.set()
            searching.result(60)
        after = answers[before:]
        switched = [label for label, _ in after].index("new 7")
        assert {label for label, _ in after[switched:]} == {"new 7"}
        assert max(seconds for _, seconds in after) < 0.9, "nobody waited for a load"
        gc.collect()
        assert old() is None, "the old one takes no memory any more"


def _found(cache: GalleryCache, probes: Embeddings) -> list[list[str]]:
    return [[each.label for each in row] for row in answer(cache, probes, 1)]


def test_the_embeddings_are_those_that_were_staged(
    any_store: GalleryStore, database_url: str
) -> None:
    with running(database_url) as replica:
        info = staged(any_store)
        assert wait_until_warm(any_store, info.generation, 30, poll_s=0.02)
        publish(any_store)
        for number, vector in enumerate(plain(0, 5).vectors):
            probes = Embeddings(MODEL, np.asarray(vector)[None])
            assert _found(replica.cache, probes) == [[f"new {number}"]]
