"""Reads beside that fail, are cancelled or are over already: everybody gets an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.cache import GalleryCache
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, SearchResult

from .samples import MODEL, build, embeddings, vectors
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


def test_a_read_that_fails(
    store: GalleryStore,
    watched: WatchedStore,
    cache: GalleryCache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    build(store, count=2)

    def fails(number: int) -> None:
        raise [UnavailableError("no"), MemoryError("/secret/place")][number - 1]

    watched.before_page = fails
    with pytest.raises(UnavailableError):
        people(cache)
    with pytest.raises(FaceServeError, match="internal error"):
        people(cache)
    assert "MemoryError" in caplog.text
    assert "secret" not in caplog.text
    watched.before_page = lambda number: None
    assert people(cache) == labels(0, 1)


def test_a_caller_who_goes_away_leaves_the_others_alone(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    """Cancelling an asyncio future cancels the one that it wraps."""
    build(store, count=2)
    gate = Gate(LOAD)
    watched.before_page = gate
    futures = cache.search([request(), request(), request()])
    gate.wait()
    assert isinstance(futures[0], Future)
    assert futures[0].cancel()
    gate.opened.set()
    found = settled(futures[1:])
    assert all(isinstance(each, SearchResult) for each in found)


def test_a_read_that_is_done_before_anybody_waits(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    """Its callback runs at once, in the thread that searches and holds the lock."""
    start = cache._start

    def finished(*arguments: object) -> Future[None]:
        future = start(*arguments)  # type: ignore[arg-type]
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        cache._lock.release()  # as if the thread had been slow
        try:
            assert done.wait(30)
        finally:
            cache._lock.acquire()
        return future

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_start", finished)
        build(store, count=2)
        for number in range(2, 6):
            future = deferred(cache)
            assert future.done()
            assert members(future) == labels(*range(number))
            store.add("staff", [str(number)], embeddings(1, seed=number), with_labels=False)


def test_closing_answers_who_waits(store: GalleryStore, watched: WatchedStore) -> None:
    cache = GalleryCache(watched, inline=0)
    gate = Gate(LOAD)
    watched.before_page = gate
    keys = ["a", "b", "c"]
    for key in keys:
        build(store, key)
    futures = cache.search([request(key) for key in keys])
    gate.wait()
    closing = threading.Thread(target=cache.close)
    closing.start()
    gate.opened.set()
    closing.join(30)
    assert not closing.is_alive()
    for answer in settled(futures):
        assert isinstance(answer, SearchResult | FaceServeError)


def test_threads_search_while_others_write(url: str, store: GalleryStore) -> None:
    """Each must see its own acknowledged changes, however the replica catches up."""
    build(store, count=10)
    caches = [GalleryCache(store, inline=inline) for inline in (0, 0, 2000)]
    errors: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(6):
                mine = Embeddings(MODEL, vectors(1, seed=1000 * thread + number + 1000))
                label = f"{thread}-{number}"
                (template,) = store.add("staff", [label], mine, with_labels=False).ids
                cache = caches[(thread + number) % 3]
                assert people(cache).get(template) == label
                store.remove("staff", [template], with_labels=False)
                assert template not in people(cache)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert errors == []
    for cache in caches:
        assert people(cache) == labels(*range(10))
        cache.close()
