"""Rebuilding beside searches: nothing is lost, nothing waits, and failing does no harm."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from serve_app.index.cache import GalleryCache
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, IndexType

from .samples import MODEL, build, embeddings, vectors
from .watched import WatchedStore, nearest, people


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    yield store
    store.close()


@pytest.fixture
def cache(watched: WatchedStore) -> Iterator[GalleryCache]:
    cache = GalleryCache(watched)
    yield cache
    cache.close()


def grown(store: GalleryStore, index_type: IndexType) -> dict[int, str]:
    """A gallery of 500 that wants a rebuild: who is in it."""
    build(store, count=300, index_type=index_type)
    store.add(
        "staff", [str(n) for n in range(300, 500)], embeddings(200, seed=1), with_labels=False
    )
    return {number: str(number) for number in range(500)}


class Gate:
    """Holds the rebuild's first page until it is opened. Other readers pass."""

    def __init__(self, store: WatchedStore) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        store.before_page = self._wait

    def _wait(self, _: int) -> None:
        if threading.current_thread().name.startswith("rebuild"):
            self.reached.set()
            assert self.opened.wait(30)


@pytest.mark.parametrize("index_type", IndexType)
def test_a_rebuild_beside_searches_loses_nothing(
    store: GalleryStore,
    watched: WatchedStore,
    cache: GalleryCache,
    monkeypatch: pytest.MonkeyPatch,
    index_type: IndexType,
) -> None:
    monkeypatch.setattr("serve_app.index.cache.PAGE", 50)
    expected = grown(store, index_type)
    assert people(cache).items() <= expected.items()
    gate = Gate(watched)

    def remove(ids: range) -> None:
        store.remove("staff", ids, with_labels=False)
        for number in ids:
            del expected[number]

    remove(range(250))
    found = people(cache)  # starts the rebuild
    assert gate.reached.wait(30)
    for start in range(250, 300, 10):  # the old index answers, and is kept current
        remove(range(start, start + 10))
        label = f"late {start}"
        late = Embeddings(MODEL, vectors(1, seed=start))
        (number,) = store.add("staff", [label], late, with_labels=False).ids
        expected[number] = label
        assert nearest(cache, late.vectors[0]) == (number, label)
        found = people(cache)
        assert found.items() <= expected.items()
        assert index_type is IndexType.IVF or found == expected
    gate.opened.set()
    cache.wait_for_rebuilds()
    for _ in range(3):
        found = people(cache)
        assert found.items() <= expected.items()
        assert index_type is IndexType.IVF or found == expected
    cache.wait_for_rebuilds()
    assert watched.loads == 2, "read at first and for one rebuild, whose index wants none"
    remove(range(300, 310))
    assert people(cache).items() <= expected.items()


def test_ivf_that_outgrew_its_training_is_trained(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    """Empty at first, and searched exactly; trained once there are enough; then searched by lists,
    which shows: some of 2,000 are in lists that are not looked at."""
    build(store, count=0, index_type=IndexType.IVF)
    assert people(cache) == {}
    store.add("staff", ["x"] * 2000, embeddings(2000), with_labels=False)
    assert len(people(cache)) == 2000
    cache.wait_for_rebuilds()
    found = len(people(cache))
    assert 200 < found < 2000
    cache.wait_for_rebuilds()
    assert watched.loads == 2


def fail(_: int) -> None:
    if threading.current_thread().name.startswith("rebuild"):
        raise MemoryError("secret of the machine")


@pytest.mark.parametrize("retry_s", [3600.0, 0.0])
def test_a_rebuild_that_fails(
    store: GalleryStore,
    watched: WatchedStore,
    caplog: pytest.LogCaptureFixture,
    retry_s: float,
) -> None:
    """Searches go on with what there is. Not each of them may read the whole gallery in vain."""
    caplog.set_level(logging.WARNING, logger="serve_app")
    cache = GalleryCache(watched, rebuild_retry_s=retry_s)
    grown(store, IndexType.FLAT)
    people(cache)
    store.remove("staff", range(250), with_labels=False)
    watched.before_page = fail
    for _ in range(10):
        assert sorted(people(cache)) == list(range(250, 500))
        cache.wait_for_rebuilds()
    assert watched.loads == 1 + (1 if retry_s else 10)
    assert "rebuild failed: MemoryError" in caplog.text
    assert "secret" not in caplog.text

    watched.before_page = lambda number: None
    people(cache)
    cache.wait_for_rebuilds()
    assert watched.loads == (2 if retry_s else 12)  # it comes back when its time has come
    assert sorted(people(cache)) == list(range(250, 500))
    cache.close()
