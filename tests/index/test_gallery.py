"""The FAISS index of one gallery against brute force, removal and rebuilding included."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from serve_app.index.gallery import (
    EXACT_AT_FIRST,
    GROWTH_BEFORE_RETRAINING,
    IVF_LEAST_TRAINING,
    GalleryIndex,
    ivf_lists,
    ivf_probes,
    set_faiss_threads,
)
from serve_app.types import IndexType, Metric

from .brute_force import every_metric, every_type, exact, filled, ids_of, nearest
from .samples import DIMENSION, unit, vectors


@every_metric
@pytest.mark.parametrize("probes", [1, 7, 64])  # FAISS takes another way from 20 probes on
@pytest.mark.parametrize("top_k", [1, 10, 300])
def test_flat_is_exact(metric: Metric, probes: int, top_k: int) -> None:
    enrolled, asked = vectors(1000, 64, seed=1), vectors(probes, 64, seed=2)
    index = filled(enrolled, metric=metric, ids=list(range(5, 3005, 3)))
    gone = list(range(5, 3005, 15))
    for removed in ([], gone):
        index.remove(removed)
        kept = [row for row, number in enumerate(range(5, 3005, 3)) if number not in removed]
        scores = exact(metric, enrolled[kept], asked)
        best = nearest(metric, scores, top_k)
        for row, candidates in enumerate(index.search(asked, top_k)):
            columns = [kept.index((number - 5) // 3) for number in ids_of(candidates)]
            assert len(set(columns)) == len(best[row])
            # The same order; only what float32 can't tell apart may have changed places.
            expected = pytest.approx(scores[row, best[row]].tolist(), abs=1e-5)
            assert scores[row, columns].tolist() == expected
            assert [candidate.score for candidate in candidates] == expected
            assert columns[:10] == best[row][:10].tolist()
            assert all(c.label == f"label {c.template_id}" for c in candidates)


@every_type
def test_every_removal_counts(index_type: IndexType) -> None:
    enrolled = vectors(500)
    index = filled(enrolled, index_type)
    for number in (7, 8, 499, 0):
        assert ids_of(index.search(enrolled[[number]], 1)[0]) == [number]
        index.remove([number])
        assert ids_of(index.search(enrolled[[number]], 1)[0]) != [number]
    assert len(index) == 496


@every_metric
@pytest.mark.parametrize("count", [0, 1, 7, 8])
@every_type
def test_tiny_galleries_are_exact(index_type: IndexType, metric: Metric, count: int) -> None:
    enrolled, probes = vectors(count), vectors(5, seed=9)
    best = nearest(metric, exact(metric, enrolled, probes), 50).tolist()
    for start in ("at once", "one by one"):
        index = filled(enrolled if start == "at once" else vectors(0), index_type, metric)
        for number in range(len(index), count):
            index.add([number], [f"label {number}"], enrolled[number : number + 1])
        assert len(index) == count
        assert not index.wants_rebuild
        found = index.search(probes, 50)
        assert [ids_of(candidates) for candidates in found] == best


@every_metric
@pytest.mark.parametrize("count", [IVF_LEAST_TRAINING - 1, IVF_LEAST_TRAINING])
def test_ivf_about_its_least_training_set(metric: Metric, count: int) -> None:
    assert count in {389, 390}
    enrolled = vectors(count, 16)
    index = filled(enrolled, IndexType.IVF, metric)
    assert not index.wants_rebuild
    found = index.search(enrolled, 3)
    assert [candidates[0].template_id for candidates in found] == list(range(count))
    if count < IVF_LEAST_TRAINING:
        best = nearest(metric, exact(metric, enrolled, enrolled), 3)
        assert [ids_of(candidates) for candidates in found] == best.tolist()


def test_ivf_is_trained_when_there_is_something_to_train_on() -> None:
    count = IVF_LEAST_TRAINING
    enrolled = vectors(4 * count + 1, 16)
    for first in (0, count - 1):
        index = filled(enrolled[:first], IndexType.IVF)
        index.add(range(first, count - 1), ["x"] * (count - 1 - first), enrolled[first : count - 1])
        assert not index.wants_rebuild
        index.add([count - 1], ["x"], enrolled[count - 1 : count])
        assert index.wants_rebuild
        index.remove([0])
        assert not index.wants_rebuild

    trained = filled(enrolled[:count], IndexType.IVF)
    limit = GROWTH_BEFORE_RETRAINING * count
    trained.add(range(count, limit - 1), ["x"] * (limit - 1 - count), enrolled[count : limit - 1])
    assert not trained.wants_rebuild
    trained.add([limit - 1], ["x"], enrolled[limit - 1 : limit])
    assert trained.wants_rebuild
    assert not filled(enrolled[:limit], IndexType.IVF).wants_rebuild


@every_type
def test_tombstones_are_dropped_before_they_weigh(index_type: IndexType) -> None:
    index = filled(vectors(1000), index_type)
    # 20 % of the live templates and 100: 250 of a thousand are just not enough.
    index.remove(range(250))
    assert not index.wants_rebuild
    index.remove([250])
    assert index.wants_rebuild


@pytest.mark.parametrize("index_type", [IndexType.FLAT, IndexType.HNSW32])
def test_growth_alone_rebuilds_nothing_else(index_type: IndexType) -> None:
    index = filled(vectors(1), index_type)
    index.add(range(1, 2000), ["x"] * 1999, vectors(1999))
    assert not index.wants_rebuild


@every_metric
@every_type
@pytest.mark.parametrize("more", [0, 1])
def test_a_large_gallery_is_exact_until_it_is_rebuilt(
    index_type: IndexType, metric: Metric, more: int
) -> None:
    enrolled, probes = vectors(EXACT_AT_FIRST + more), vectors(5, seed=9)
    numbers = range(len(enrolled))
    names = [str(number) for number in numbers]
    index = GalleryIndex(index_type, metric, DIMENSION, numbers, names, enrolled, quickly=True)
    assert index.wants_rebuild == (more > 0 and index_type is not IndexType.FLAT)
    if index.wants_rebuild:
        index.remove([3, 4])
        index.add([len(enrolled)], ["late"], probes[:1])
        live = np.delete(np.concatenate([enrolled, probes[:1]]), [3, 4], axis=0)
        scores = exact(metric, live, probes)
        best = np.take_along_axis(scores, nearest(metric, scores, 500), axis=1)
        found = [[c.score for c in candidates] for candidates in index.search(probes, 500)]
        assert np.allclose(found, best, atol=1e-5)
        assert index.search(probes[:1], 1)[0][0].label == "late"
        assert index.wants_rebuild


@every_metric
@every_type
def test_k_beyond_the_gallery(index_type: IndexType, metric: Metric) -> None:
    enrolled = vectors(60)
    index = filled(enrolled, index_type, metric)
    index.remove(range(0, 60, 4))
    (candidates,) = index.search(vectors(1, seed=9), 1000)
    assert sorted(ids_of(candidates)) == [number for number in range(60) if number % 4]
    index.remove(range(60))
    assert len(index) == 0
    assert index.search(vectors(2, seed=9), 1000) == [[], []]
    index.add([60], ["back"], vectors(1))
    (candidates,) = index.search(vectors(1), 1000)
    assert [(c.template_id, c.label) for c in candidates] == [(60, "back")]


@every_type
def test_no_k_and_no_probes(index_type: IndexType) -> None:
    index = filled(vectors(5), index_type)
    assert index.search(vectors(3), 0) == [[], [], []]
    assert index.search(vectors(0), 5) == []
    assert index.search(vectors(0), 0) == []


@every_metric
@every_type
def test_ties_are_in_the_order_of_ids(index_type: IndexType, metric: Metric) -> None:
    same, other = vectors(1, seed=1), vectors(1, seed=2)
    ids = [9, 2, 7, 4, 0]
    index = filled(np.concatenate([same, same, other, same, same]), index_type, metric, ids)
    (candidates,) = index.search(same, 5)
    assert ids_of(candidates) == [0, 2, 4, 9, 7]
    assert len({candidate.score for candidate in candidates[:4]}) == 1


@every_type
def test_a_replay_changes_nothing(index_type: IndexType) -> None:
    enrolled, probes = vectors(30), vectors(10, seed=9)
    index = filled(enrolled, index_type)
    index.remove([3, 4, 99])
    before = index.search(probes, 100)
    index.add(range(30), ["other"] * 30, vectors(30, seed=5))
    assert len(index) == 28
    assert index.search(probes, 100) == before
    index.remove([3, 4, 99])
    index.remove([])
    assert len(index) == 28
    assert index.search(probes, 100) == before
    # What is new in it is added all the same, under its own id and vector.
    index.add([29, 30, 5], ["a", "b", "c"], vectors(3, seed=6))
    (candidates,) = index.search(vectors(3, seed=6)[1:2], 1)
    assert [(c.template_id, c.label) for c in candidates] == [(30, "b")]
    assert len(index) == 29


def test_an_id_removed_before_it_came_may_come_later() -> None:
    """A removal of what is not there leaves no trace: the store never gives such an id again."""
    index = filled(vectors(2))
    index.remove([2])
    index.add([2], ["late"], vectors(1, seed=3))
    assert [c.label for c in index.search(vectors(1, seed=3), 1)[0]] == ["late"]


@every_type
def test_inputs_of_another_layout_and_large_ids(index_type: IndexType) -> None:
    wide = np.asfortranarray(vectors(12, 2 * DIMENSION)[:, ::2].astype(np.float64))
    enrolled = unit(wide)
    index = filled(np.asfortranarray(enrolled), index_type, ids=[2**40 + n for n in range(12)])
    found = index.search(np.asfortranarray(enrolled.astype(np.float64)), 1)
    assert [ids_of(candidates) for candidates in found] == [[2**40 + n] for n in range(12)]
    index.remove([2**40])
    assert ids_of(index.search(enrolled[:1], 1)[0]) != [2**40]


def test_the_number_of_ivf_lists() -> None:
    assert [ivf_lists(count) for count in (1, 390, 1600, 20_000, 1_000_000)] == [
        1,
        10,
        41,
        512,
        4000,
    ]
    for count in range(390, 100_000, 997):
        assert count >= 39 * ivf_lists(count)
    assert [ivf_probes(lists) for lists in (1, 8, 10, 32, 100, 4000)] == [1, 8, 8, 8, 25, 1000]


def test_faiss_threads() -> None:
    for count in (1, 2):
        set_faiss_threads(count)
        assert faiss.omp_get_max_threads() == count
