"""Strong and eventual searches while the store is down, and answers for exactly one moment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from serve_app.errors import GalleryNotFoundError, UnavailableError
from serve_app.index import whereabouts
from serve_app.index.cache import GalleryCache
from serve_app.index.mutations import Drop
from serve_app.index.records import Moment, Passed, SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Consistency, SearchResult

from .samples import build, embeddings
from .watched import EVERYONE, WatchedStore, found, labels, labels_of, people, settled

STRONG, EVENTUAL = Consistency.STRONG, Consistency.EVENTUAL


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    yield store
    store.close()


@pytest.fixture
def cache(watched: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[GalleryCache]:
    monkeypatch.setattr(whereabouts, "DOWN_S", 0.2)
    cache = GalleryCache(watched)
    yield cache
    cache.close()


def asked(
    consistency: Consistency = EVENTUAL, key: str = "staff", at: Moment | None = None
) -> SearchRequest:
    return SearchRequest(key, embeddings(1), EVERYONE, consistency, at)


def moment(store: GalleryStore) -> Moment:
    info = store.describe(["staff"])["staff"]
    return Moment(info.generation, info.seq)


@pytest.mark.parametrize("consistency", Consistency)
def test_with_the_store_both_see_every_change(
    store: GalleryStore, cache: GalleryCache, consistency: Consistency
) -> None:
    build(store, count=2)
    for number in range(2, 5):
        result = found(cache, asked(consistency))
        assert labels_of(result) == labels(*range(number))
        assert not result.stale
        store.add("staff", [str(number)], embeddings(1, seed=number), with_labels=False)


def test_without_the_store(store: GalleryStore, watched: WatchedStore, cache: GalleryCache) -> None:
    build(store, count=2)
    people(cache)
    store.add("staff", ["2"], embeddings(1, seed=2), with_labels=False)
    watched.down = True
    requests = [asked(), asked(STRONG), asked(key="nobody"), asked(STRONG, "nobody")]
    stale, *failed = cache.search(requests)
    assert isinstance(stale, SearchResult)
    assert stale.stale
    assert labels_of(stale) == labels(0, 1)
    assert [type(each) for each in failed] == [UnavailableError] * 3
    watched.down = False
    fresh = found(cache, asked(STRONG))
    assert not fresh.stale
    assert labels_of(fresh) == labels(0, 1, 2)


def test_eventual_searches_do_not_wait_for_each_failure(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store)
    people(cache)
    watched.down = True
    for _ in range(5):
        assert found(cache, asked()).stale
    assert len(watched.asked) == 2
    time.sleep(0.25)
    watched.down = False
    assert not found(cache, asked()).stale


def test_what_a_strong_search_learned_is_known(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    """``stale`` is said only while the store is known to be down."""
    build(store)
    people(cache)
    watched.down = True
    assert found(cache, asked()).stale
    watched.down = False
    assert not found(cache, asked(STRONG)).stale
    assert not found(cache, asked()).stale


@pytest.mark.parametrize("inline", [2000, 0])
def test_a_store_that_goes_between_two_questions(
    store: GalleryStore, watched: WatchedStore, inline: int
) -> None:
    """It has told where the gallery stands, but not what happened."""
    cache = GalleryCache(watched, inline=inline)
    build(store, count=2)
    people(cache)
    store.add("staff", ["2"], embeddings(1, seed=2), with_labels=False)
    watched.fail_changes = True
    stale, failed = settled(cache.search([asked(), asked(STRONG)]))
    assert isinstance(stale, SearchResult)
    assert stale.stale
    assert labels_of(stale) == labels(0, 1)
    assert isinstance(failed, UnavailableError)
    watched.fail_changes = False
    assert labels_of(found(cache, asked())) == labels(0, 1, 2)
    cache.close()


@pytest.mark.parametrize("inline", [2000, 0])
def test_what_is_known_to_be_replaced_is_not_served(
    store: GalleryStore, watched: WatchedStore, inline: int
) -> None:
    cache = GalleryCache(watched, inline=inline)
    build(store, count=2)
    people(cache)
    store.do(Drop("staff"))
    build(store, count=3)
    watched.fail_changes = True
    (failed,) = settled(cache.search([asked()]))
    assert isinstance(failed, UnavailableError)
    cache.close()


def test_a_gallery_that_is_no_more_is_not_served(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store)
    people(cache)
    store.do(Drop("staff"))
    with pytest.raises(GalleryNotFoundError):
        found(cache, asked())
    watched.down = True
    with pytest.raises(UnavailableError):
        found(cache, asked())


def test_exactly_one_moment(store: GalleryStore, cache: GalleryCache) -> None:
    build(store, count=2)
    people(cache)
    moments = [moment(store)]
    for number in range(2, 6):
        store.add("staff", [str(number)], embeddings(1, seed=number), with_labels=False)
        moments.append(moment(store))
    for steps in (2, 3):  # one is skipped
        result = found(cache, asked(STRONG, at=moments[steps]))
        assert labels_of(result) == labels(*range(2 + steps))
        assert cache.standing_of("staff") == moments[steps]
    assert settled(cache.search([asked(STRONG, at=moments[1])])) == [Passed(moments[3])]
    assert people(cache) == labels(*range(6))
    assert settled(cache.search([asked(STRONG, at=moments[3])])) == [Passed(moments[4])]


def test_a_moment_of_which_something_was_erased_since(
    store: GalleryStore, cache: GalleryCache
) -> None:
    """It can't be told any more: all shards have to go on to a later one."""
    build(store, count=2)
    people(cache)
    store.add("staff", ["2", "3"], embeddings(2, seed=2), with_labels=False)
    wanted = moment(store)
    store.remove("staff", [2], with_labels=False)
    assert settled(cache.search([asked(STRONG, at=wanted)])) == [Passed(moment(store))]
    assert labels_of(found(cache, asked(STRONG, at=moment(store)))) == labels(0, 1, 3)


def test_a_removal_of_what_is_in_memory_does_not_hide_a_moment(
    store: GalleryStore, cache: GalleryCache
) -> None:
    build(store, count=3)
    people(cache)
    store.add("staff", ["3"], embeddings(1, seed=2), with_labels=False)
    wanted = moment(store)
    store.remove("staff", [0], with_labels=False)
    assert labels_of(found(cache, asked(STRONG, at=wanted))) == labels(0, 1, 2, 3)
    assert people(cache) == labels(1, 2, 3)


def test_a_moment_in_memory_needs_no_store(
    store: GalleryStore, watched: WatchedStore, cache: GalleryCache
) -> None:
    build(store, count=2)
    people(cache)
    questions = len(watched.asked)
    watched.down = True
    result = found(cache, asked(STRONG, at=moment(store)))
    assert not result.stale
    assert labels_of(result) == labels(0, 1)
    assert len(watched.asked) == questions


def test_a_moment_of_another_generation(store: GalleryStore, cache: GalleryCache) -> None:
    build(store, count=2)
    people(cache)
    before = moment(store)
    store.do(Drop("staff"))
    build(store, count=3)
    assert before != moment(store)
    now = moment(store)
    people(cache)
    assert settled(cache.search([asked(STRONG, at=before)])) == [Passed(now)]
    assert labels_of(found(cache, asked(STRONG, at=now))) == labels(0, 1, 2)


def test_moments_in_one_batch(store: GalleryStore, cache: GalleryCache) -> None:
    build(store, count=1)
    people(cache)
    moments = [moment(store)]
    for number in range(1, 4):
        store.add("staff", [str(number)], embeddings(1, seed=number), with_labels=False)
        moments.append(moment(store))
    requests = [asked(STRONG, at=moments[1]), asked(STRONG, at=moments[2]), asked(STRONG),
                asked(STRONG, at=moments[2])]  # fmt: skip
    first, second, newest, same = cache.search(requests)
    for result, count in [(first, 2), (second, 3), (newest, 4), (same, 3)]:
        assert isinstance(result, SearchResult)
        assert labels_of(result) == labels(*range(count))
