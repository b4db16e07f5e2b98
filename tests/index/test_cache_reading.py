"""What a cache reads of its store, and when: no more than it lacks, and nothing by halves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from serve_app.errors import GalleryMismatchError, GalleryNotFoundError, UnavailableError
from serve_app.index.cache import GalleryCache
from serve_app.index.gallery import GalleryIndex
from serve_app.index.loading import Loader
from serve_app.index.mutations import Drop
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Candidate, Embeddings, IndexType, Metric, SearchResult, Shard, Vectors

from .samples import MODEL, build, embeddings, locked, vectors
from .watched import WatchedStore, answer, found, nearest, people


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


@pytest.mark.parametrize("index_type", IndexType)
def test_every_acknowledged_mutation_is_seen(url: str, index_type: IndexType) -> None:
    """Made through a store of its own, seen by two caches with stores of their own."""
    writer, *readers = (GalleryStore(url) for _ in range(3))
    caches = [GalleryCache(reader) for reader in readers]
    build(writer, count=2, index_type=index_type)
    expected = {0: "0", 1: "1"}
    for number in range(2, 30):
        late, label = vectors(1, seed=number), f"late {number}"
        receipt = writer.add("staff", [label], Embeddings(MODEL, late), with_labels=False)
        assert receipt.ids == [number]
        expected[number] = label
        asked = caches[: 1 + number % 2]  # the second falls behind at times
        for cache in asked:
            assert nearest(cache, late[0]) == (number, label)
            assert people(cache) == expected
        if number % 3 == 0:
            writer.remove("staff", [number - 1, number], with_labels=False)
            del expected[number - 1], expected[number]
            for cache in asked:
                assert people(cache) == expected
    for cache in caches:
        assert people(cache) == expected
        cache.close()
    for store in (writer, *readers):
        store.close()


def test_a_gallery_that_appears_is_found(store: GalleryStore, cache: GalleryCache) -> None:
    with pytest.raises(GalleryNotFoundError, match="gallery staff does not exist"):
        people(cache)
    build(store, count=2)
    assert people(cache) == {0: "0", 1: "1"}


def test_nothing_new_is_not_read_again(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=5)
    people(cache)
    for _ in range(5):
        people(cache)
    store.add("staff", ["a"], embeddings(1), with_labels=False)
    store.remove("staff", [0], with_labels=False)
    people(cache)
    assert watched.loads == 1


def test_requests_share_a_question_and_a_search(
    store: GalleryStore,
    watched: WatchedStore,
    cache: GalleryCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build(store, count=5)
    build(store, "guests", 5)
    searches: list[tuple[int, int]] = []
    search = GalleryIndex.search

    def counted(index: GalleryIndex, probes: Vectors, top_k: int) -> list[list[Candidate]]:
        searches.append((len(probes), top_k))
        return search(index, probes, top_k)

    monkeypatch.setattr(GalleryIndex, "search", counted)
    requests = [
        SearchRequest(key, embeddings(count, seed=count), top_k)
        for key, count, top_k in [
            ("staff", 1, 3),
            ("guests", 2, 3),
            ("staff", 4, 3),
            ("staff", 3, 2),
            ("staff", 2, 3),
        ]
    ]
    together = cache.search(requests)
    assert watched.asked == [["guests", "staff"]]
    assert sorted(searches) == [(2, 3), (3, 2), (7, 3)]
    assert together == [cache.search([request])[0] for request in requests]


def replace(store: GalleryStore) -> None:
    """Build the gallery anew with other people: its seq is the same as before."""
    store.do(Drop("staff"))
    store.create(
        "staff", IndexType.HNSW32, Metric.L2, ["x", "y"], embeddings(2, 5), with_labels=False
    )


def test_a_gallery_built_anew_is_read_anew(store: GalleryStore, cache: GalleryCache) -> None:
    build(store, count=5)
    assert len(people(cache)) == 5
    replace(store)
    result = found(cache, SearchRequest("staff", embeddings(1, 5), 10))
    assert result.metric is Metric.L2
    assert {c.label for c in result.candidates[0]} == {"x", "y"}
    with pytest.raises(GalleryMismatchError):
        people(cache)


def test_a_gallery_that_went_is_not_found(store: GalleryStore, cache: GalleryCache) -> None:
    build(store)
    people(cache)
    store.do(Drop("staff"))
    with pytest.raises(GalleryNotFoundError):
        people(cache)


def test_a_gallery_replaced_while_it_is_read(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=5)
    watched.before_page = lambda number: replace(store) if number == 2 else None
    with pytest.raises(GalleryNotFoundError, match="was replaced; search again"):
        people(cache)
    assert {c.label for c in answer(cache, embeddings(1, 5))[0]} == {"x", "y"}


def test_a_pruned_history_means_reading_anew(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=5)
    people(cache)
    store.remove("staff", [1, 2], with_labels=False)
    store.prune(0, 0)
    assert people(cache) == {0: "0", 3: "3", 4: "4"}
    assert watched.loads == 2


@pytest.mark.parametrize("index_type", IndexType)
def test_mutations_between_two_pages(
    store: GalleryStore,
    watched: WatchedStore,
    index_type: IndexType,
) -> None:
    """Of what was read and of what was not read yet; what is added is removed again, too."""
    cache = GalleryCache(watched, None, Loader(watched, Shard(), None, page=4))
    build(store, count=12, index_type=index_type)

    def mutate(page: int) -> None:
        if page == 2:  # 0 to 3 were read
            store.remove("staff", [1, 9], with_labels=False)
            store.add("staff", ["new"] * 2, embeddings(2), with_labels=False)
        if page == 4:  # 4 to 7, and 8, 10, 11 and 12 were read
            store.remove("staff", [12, 10, 5], with_labels=False)
            store.add("staff", ["newer"], embeddings(1), with_labels=False)
        if page == 5:
            store.remove("staff", [0, 14], with_labels=False)
            watched.before_page = lambda number: None

    watched.before_page = mutate
    expected = {2: "2", 3: "3", 4: "4", 6: "6", 7: "7", 8: "8", 11: "11", 13: "new"}
    assert people(cache) == expected
    assert watched.pages >= 5
    assert people(cache) == expected
    cache.close()


def test_a_store_that_does_not_answer(store: GalleryStore, url: str, file: Path) -> None:
    build(store, count=3)
    build(store, "guests", 2)
    watched = WatchedStore(url, busy_timeout_s=0.1)
    cache = GalleryCache(watched)
    requests = [
        SearchRequest(key, embeddings(1), 10) for key in ("staff", "guests", "nobody", "staff")
    ]
    for _ in range(2):  # with nothing in memory, and with all of it
        with locked(file):
            assert [type(result) for result in cache.search(requests)] == [UnavailableError] * 4
        kinds = [type(result) for result in cache.search(requests)]
        assert kinds == [SearchResult, SearchResult, GalleryNotFoundError, SearchResult]
    cache.close()
    watched.close()


def test_a_store_that_goes_while_a_gallery_is_read(
    store: GalleryStore, url: str, file: Path
) -> None:
    build(store, count=3)
    build(store, "guests", 2)
    watched = WatchedStore(url, busy_timeout_s=0.1)
    cache = GalleryCache(watched)
    assert len(people(cache)) == 3
    with ExitStack() as stack:
        watched.before_page = lambda number: stack.enter_context(locked(file))
        requests = [SearchRequest(key, embeddings(1), 10) for key in ("guests", "staff")]
        kinds = [type(result) for result in cache.search(requests)]
        assert kinds == [UnavailableError, SearchResult]
    watched.before_page = lambda number: None
    assert len(people(cache, "guests")) == 2
    cache.close()
    watched.close()


def test_threads_search_while_others_write(url: str) -> None:
    """Each thread must see its own acknowledged writes, and nothing that it removed."""
    store = GalleryStore(url)
    caches = [GalleryCache(store) for _ in range(2)]
    build(store, count=10)

    def work(thread: int) -> None:
        for number in range(10):
            mine = Embeddings(MODEL, vectors(1, seed=1000 * thread + number + 1000))
            label = f"{thread}-{number}"
            (template,) = store.add("staff", [label], mine, with_labels=False).ids
            cache = caches[number % 2]
            assert nearest(cache, mine.vectors[0]) == (template, label)
            store.remove("staff", [template], with_labels=False)
            assert nearest(cache, mine.vectors[0]) != (template, label)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    for cache in caches:
        assert people(cache) == {number: str(number) for number in range(10)}
        cache.close()
    store.close()
