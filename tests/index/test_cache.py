"""A replica sees every acknowledged mutation, and one gallery's trouble is no other's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import (
    FaceServeError,
    GalleryMismatchError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.cache import GalleryCache
from serve_app.index.gallery import GalleryIndex
from serve_app.index.mutations import Drop
from serve_app.index.records import Moment, SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Candidate, Embeddings, GalleryInfo, SearchResult, Vectors

from .samples import DIMENSION, MODEL, build, embeddings, raw, vectors
from .watched import found, people


@pytest.fixture
def cache(store: GalleryStore) -> Iterator[GalleryCache]:
    cache = GalleryCache(store)
    yield cache
    cache.close()


def probe(number: int, of: Embeddings) -> Embeddings:
    return Embeddings(of.model_id, of.vectors[number : number + 1])


def best(cache: GalleryCache, key: str, probes: Embeddings, top_k: int = 1) -> list[int]:
    """Template ids nearest to the first probe."""
    answer = found(cache, SearchRequest(key, probes, top_k))
    return [candidate.template_id for candidate in answer.candidates[0]]


def test_every_replica_sees_every_mutation(url: str, store: GalleryStore) -> None:
    enrolled = build(store, count=5)
    other = GalleryStore(url)
    caches = [GalleryCache(store), GalleryCache(other)]
    for cache in caches:
        assert best(cache, "staff", probe(4, enrolled)) == [4]
    added = embeddings(1, seed=99)
    other.add("staff", ["new"], added, with_labels=False)
    assert [best(cache, "staff", added) for cache in caches] == [[5], [5]]
    store.remove("staff", [4], with_labels=False)
    for cache in caches:
        assert 4 not in best(cache, "staff", probe(4, enrolled), top_k=9)
        cache.close()
    other.close()


def test_a_bad_request_fails_alone(cache: GalleryCache, store: GalleryStore) -> None:
    enrolled = build(store)
    foreign = Embeddings("another-model", vectors(1))
    answers = cache.search(
        [
            SearchRequest("staff", probe(1, enrolled), 1),
            SearchRequest("nobody", probe(1, enrolled), 1),
            SearchRequest("staff", foreign, 1),
            SearchRequest("staff", Embeddings(MODEL, vectors(0)), 1),
            SearchRequest("staff", enrolled, 2),
            SearchRequest("staff", embeddings(2, DIMENSION + 1), 2),
            SearchRequest("staff", enrolled, 0),
        ]
    )
    assert isinstance(answers[0], SearchResult)
    assert isinstance(answers[1], GalleryNotFoundError)
    assert isinstance(answers[2], GalleryMismatchError)
    assert isinstance(answers[3], SearchResult)
    assert answers[3].candidates == []
    assert isinstance(answers[4], SearchResult)
    assert [found[0].template_id for found in answers[4].candidates] == [0, 1, 2]
    assert isinstance(answers[5], GalleryMismatchError)
    assert isinstance(answers[6], SearchResult)
    assert answers[6].candidates == [[], [], []]
    assert len(answers) == 7
    assert cache.search([]) == []


def test_requests_get_their_own_rows(cache: GalleryCache, store: GalleryStore) -> None:
    enrolled = build(store, count=40)
    cuts = [slice(0, 3), slice(3, 4), slice(4, 20), slice(20, 40)]
    answers = cache.search(
        [SearchRequest("staff", Embeddings(MODEL, enrolled.vectors[cut]), 1) for cut in cuts]
    )
    for cut, answer in zip(cuts, answers, strict=True):
        assert isinstance(answer, SearchResult)
        found = [candidates[0].template_id for candidates in answer.candidates]
        assert found == list(range(cut.start, cut.stop))


def test_a_damaged_gallery_fails_alone_and_recovers(
    cache: GalleryCache, store: GalleryStore, file: Path
) -> None:
    enrolled = build(store, "good")
    build(store, "bad")
    generation = store.describe(["bad"])["bad"].generation
    where = f"WHERE generation = '{generation}' AND id = 1"
    with raw(file) as connection:
        (blob,) = connection.execute(f"SELECT embedding FROM template {where}").fetchone()
        connection.execute(f"UPDATE template SET embedding = x'00' {where}")
    requests = [SearchRequest(key, probe(0, enrolled), 1) for key in ("bad", "good")]
    bad, good = cache.search(requests)
    assert isinstance(bad, UnavailableError)
    assert isinstance(good, SearchResult)
    with raw(file) as connection:
        connection.execute(f"UPDATE template SET embedding = ? {where}", (blob,))
    assert all(isinstance(answer, SearchResult) for answer in cache.search(requests))


def test_what_nobody_foresaw_fails_one_gallery(
    cache: GalleryCache,
    store: GalleryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    enrolled = build(store, "good")
    build(store, "bad", 5)
    search = GalleryIndex.search

    def broken(index: GalleryIndex, probes: Vectors, top_k: int) -> list[list[Candidate]]:
        if len(index) == 5:
            raise RuntimeError("FAISS says no, at /secret/place")
        return search(index, probes, top_k)

    monkeypatch.setattr(GalleryIndex, "search", broken)
    requests = [SearchRequest(key, probe(0, enrolled), 1) for key in ("bad", "good")]
    bad, good = cache.search(requests)
    assert type(bad) is FaceServeError
    assert isinstance(good, SearchResult)
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text + str(bad)
    monkeypatch.undo()
    assert all(isinstance(answer, SearchResult) for answer in cache.search(requests))


@pytest.mark.parametrize("inline", [2000, 0])
def test_changes_that_were_half_applied_are_not_served(
    store: GalleryStore, monkeypatch: pytest.MonkeyPatch, inline: int
) -> None:
    """FAISS has the vector, nobody has its label: what comes next would be in the wrong row."""
    build(store, count=3)
    cache = GalleryCache(store, inline=inline)
    people(cache)
    store.add("staff", ["3"], embeddings(1, seed=8), with_labels=False)

    def fails(self: object, labels: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("serve_app.index.gallery.segment.LabelColumn.append", fails)
        with pytest.raises(FaceServeError, match="internal error"):
            people(cache)
    store.add("staff", ["4"], late := embeddings(1, seed=9), with_labels=False)
    assert people(cache) == {number: str(number) for number in range(5)}
    assert best(cache, "staff", late) == [4]
    cache.close()


def test_an_unavailable_store_fails_the_batch_and_only_it(
    cache: GalleryCache, store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled = build(store)
    request = SearchRequest("staff", probe(0, enrolled), 1)

    def down(*_: object, **__: object) -> dict[str, GalleryInfo]:
        raise UnavailableError("the gallery store is unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(store, "describe", down)
        assert all(isinstance(a, UnavailableError) for a in cache.search([request, request]))
    assert best(cache, "staff", probe(0, enrolled)) == [0]


def test_scores_are_the_stores_own(cache: GalleryCache, store: GalleryStore) -> None:
    enrolled = build(store, count=9)
    (answer,) = cache.search([SearchRequest("staff", enrolled, 9)])
    assert isinstance(answer, SearchResult)
    for row, candidates in zip(enrolled.vectors, answer.candidates, strict=True):
        for candidate in candidates:
            expected = float(row @ enrolled.vectors[candidate.template_id])
            assert candidate.score == pytest.approx(expected, abs=1e-5)
            assert candidate.label == str(candidate.template_id)
        scores = [candidate.score for candidate in candidates]
        assert np.all(np.diff(scores) <= 0)


def test_it_tells_where_it_stands(cache: GalleryCache, store: GalleryStore) -> None:
    build(store)
    assert cache.standing_of("staff") is None
    people(cache)
    info = store.describe(["staff"])["staff"]
    assert cache.standing_of("staff") == Moment(info.generation, info.seq)


def test_tidy_lets_go_of_galleries_that_are_no_more(store: GalleryStore) -> None:
    """Also of those that were only ever read beside, or not found."""
    cache = GalleryCache(store, inline=0)
    build(store)
    build(store, "guests")
    people(cache)
    people(cache, "guests")
    cache.tidy()
    assert cache.standing_of("staff") is not None
    store.do(Drop("staff"))
    cache.tidy()
    assert cache.standing_of("staff") is None
    assert people(cache, "guests") == {0: "0", 1: "1", 2: "2"}
    store.do(Drop("guests"))
    with pytest.raises(GalleryNotFoundError):
        people(cache, "guests")
    cache.tidy()
    left = [cache._entries, cache._loads, cache._swaps, cache._swap_after]
    assert not any(left)
    cache.close()


def test_tidy_tells_that_the_store_is_down(
    cache: GalleryCache, store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store)
    people(cache)

    def down(*_: object, **__: object) -> dict[str, GalleryInfo]:
        raise UnavailableError("the gallery store is unavailable")

    monkeypatch.setattr(store, "describe", down)
    with pytest.raises(UnavailableError):
        cache.tidy()
    assert cache.standing_of("staff") is not None
