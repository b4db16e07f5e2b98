"""A replica sees every acknowledged mutation, and one gallery's trouble is no other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import (
    FaceServeError,
    GalleryMismatchError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index import gallery
from serve_app.index.cache import GalleryCache
from serve_app.index.records import SearchRequest, TemplateRows
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, GalleryInfo, IndexType, SearchResult

from .samples import DIMENSION, MODEL, build, embeddings, raw, vectors


@pytest.fixture
def cache(store: GalleryStore) -> Iterator[GalleryCache]:
    cache = GalleryCache(store)
    yield cache
    cache.close()


def probe(number: int, of: Embeddings) -> Embeddings:
    return Embeddings(of.model_id, of.vectors[number : number + 1])


def best(cache: GalleryCache, key: str, probes: Embeddings, top_k: int = 1) -> list[int]:
    """Template ids nearest to the first probe."""
    (answer,) = cache.search([SearchRequest(key, probes, top_k)])
    assert isinstance(answer, SearchResult), answer
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
    cache: GalleryCache, store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled = build(store, "good")
    build(store, "bad", index_type=IndexType.HNSW32)
    new_base = gallery.GalleryIndex._new_base

    def broken(self: gallery.GalleryIndex, *arguments: object) -> object:
        if self._type is IndexType.HNSW32:
            raise RuntimeError("FAISS says no")
        return new_base(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery.GalleryIndex, "_new_base", broken)
    requests = [SearchRequest(key, probe(0, enrolled), 1) for key in ("bad", "good")]
    bad, good = cache.search(requests)
    assert type(bad) is FaceServeError
    assert isinstance(good, SearchResult)
    monkeypatch.undo()
    assert all(isinstance(answer, SearchResult) for answer in cache.search(requests))


class InterruptedStore:
    """A store where something happens after each page that is read."""

    def __init__(self, store: GalleryStore, after_page: Callable[[], None]) -> None:
        self._store = store
        self._after_page = after_page
        self.describe = store.describe
        self.changes = store.changes

    def page(self, info: GalleryInfo, after_id: int, limit: int) -> TemplateRows:
        page = self._store.page(info, after_id, 2)  # small pages: several of them
        self._after_page()
        return page


def test_changes_while_a_gallery_is_read(store: GalleryStore) -> None:
    """A row that was read and then removed must not stay; one that was added must be there."""
    enrolled = build(store, count=6)
    added = embeddings(3, seed=7)
    steps: Iterator[Callable[[], object]] = iter(
        [
            lambda: store.remove("staff", [0, 5], with_labels=False),
            lambda: store.add("staff", ["a"], probe(0, added), with_labels=False),
            lambda: store.remove("staff", [6], with_labels=False),
            lambda: store.add("staff", ["b"], probe(1, added), with_labels=False),
        ]
    )

    def happen() -> None:
        step = next(steps, None)
        if step is not None:
            step()

    cache = GalleryCache(InterruptedStore(store, happen))  # type: ignore[arg-type]
    everything = sorted(best(cache, "staff", probe(3, enrolled), top_k=99))
    assert everything == [1, 2, 3, 4, 7]
    assert best(cache, "staff", probe(1, added)) == [7]
    cache.close()


def test_an_unavailable_store_fails_the_batch_and_only_it(
    cache: GalleryCache, store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled = build(store)
    request = SearchRequest("staff", probe(0, enrolled), 1)

    def down(keys: object) -> dict[str, GalleryInfo]:
        raise UnavailableError("the gallery store is unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(store, "describe", down)
        assert all(isinstance(a, UnavailableError) for a in cache.search([request, request]))
    assert best(cache, "staff", probe(0, enrolled)) == [0]


@pytest.mark.parametrize("index_type", [IndexType.IVF, IndexType.HNSW32])
def test_a_large_gallery_answers_at_once_and_is_indexed_beside(
    cache: GalleryCache, store: GalleryStore, index_type: IndexType
) -> None:
    count = gallery.EXACT_AT_FIRST + 500
    enrolled = build(store, count=count, index_type=index_type)
    assert best(cache, "staff", probe(7, enrolled)) == [7]
    assert cache._entries["staff"].index.wants_rebuild
    store.remove("staff", [7], with_labels=False)
    added = embeddings(1, seed=5)
    store.add("staff", ["new"], added, with_labels=False)
    cache.wait_for_rebuilds()
    assert not cache._entries["staff"].index.wants_rebuild
    assert best(cache, "staff", added) == [count]
    assert 7 not in best(cache, "staff", probe(7, enrolled), top_k=20)
    assert len(cache._entries["staff"].index) == count


def test_a_rebuild_that_fails_is_not_tried_at_every_search(
    store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = GalleryCache(store, rebuild_retry_s=3600)
    enrolled = build(store, count=300)
    best(cache, "staff", probe(0, enrolled))
    store.remove("staff", list(range(250)), with_labels=False)
    tries = []

    def fails(*_: object, **__: object) -> None:
        tries.append(1)
        raise UnavailableError("no")

    monkeypatch.setattr(cache, "_load", fails)
    for _ in range(5):
        assert best(cache, "staff", probe(260, enrolled)) == [260]
        cache.wait_for_rebuilds()
    assert len(tries) == 1
    cache.close()


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
