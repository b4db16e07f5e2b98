"""A gallery of two segments against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.index.gallery import GalleryIndex
from serve_app.types import IndexType, Metric
from tests.index.brute_force import every_metric, every_type, exact, filled, ids_of, nearest, sealed
from tests.index.samples import DIMENSION, unit, vectors


@every_metric
@pytest.mark.parametrize("probes", [1, 7, 64])  # FAISS takes another way from 20 probes on
@pytest.mark.parametrize("top_k", [1, 10, 300])
@pytest.mark.parametrize("first", [0, 600, 1000])  # so many are sealed
def test_two_segments_are_as_exact_as_one(
    metric: Metric, probes: int, top_k: int, first: int
) -> None:
    enrolled, asked = vectors(1000, 64, seed=1), vectors(probes, 64, seed=2)
    ids = np.arange(5, 3005, 3)
    names = [f"label {number}" for number in ids]
    index = GalleryIndex(metric, 64, sealed(enrolled[:first], "Flat", metric, ids[:first]))
    index.add(ids, names, enrolled)  # the sealed ones are a replay
    assert (index.sealed_rows, index.growing_rows) == (first, 1000 - first)
    gone = list(range(5, 3005, 15))
    for removed in ([], gone):
        index.remove(removed)
        assert index.dead_rows == len(removed)
        kept = np.flatnonzero(~np.isin(ids, removed))
        scores = exact(metric, enrolled[kept], asked)
        best = nearest(metric, scores, top_k)
        column = {int(ids[row]): position for position, row in enumerate(kept)}
        for row, candidates in enumerate(index.search(asked, top_k)):
            columns = [column[number] for number in ids_of(candidates)]
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
    assert index.index_type_in_use == index_type
    for number in (7, 8, 499, 0):
        assert ids_of(index.search(enrolled[[number]], 1)[0]) == [number]
        index.remove([number])
        assert ids_of(index.search(enrolled[[number]], 1)[0]) != [number]
    assert (len(index), index.dead_rows, index.last_id) == (496, 4, 499)


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
        found = index.search(probes, 50)
        assert [ids_of(candidates) for candidates in found] == best


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
    index = filled(np.concatenate([same, same, other, same]), index_type, metric, [9, 2, 7, 4])
    index.add(
        [12, 10, 11], ["label 12", "label 10", "label 11"], np.concatenate([same, same, other])
    )
    (candidates,) = index.search(same, 7)
    assert ids_of(candidates) == [2, 4, 9, 10, 12, 7, 11]
    assert [c.label for c in candidates] == [f"label {c.template_id}" for c in candidates]


@every_type
def test_a_replay_changes_nothing(index_type: IndexType) -> None:
    enrolled, probes = vectors(30), vectors(10, seed=9)
    index = filled(enrolled, index_type)
    index.remove([3, 4, 99])
    before = index.search(probes, 100)
    index.add(range(30), ["other"] * 30, vectors(30, seed=5))
    assert len(index) == 28
    assert index.search(probes, 100) == before
    index.remove(number for number in [3, 4, 99])
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
    index.add([2**41], ["x"], np.asfortranarray(vectors(1, seed=3).astype(np.float64)))
    found = index.search(np.asfortranarray(enrolled.astype(np.float64)), 1)
    assert [ids_of(candidates) for candidates in found] == [[2**40 + n] for n in range(12)]
    index.remove([2**40])
    assert ids_of(index.search(enrolled[:1], 1)[0]) != [2**40]


@every_type
def test_what_lives(index_type: IndexType) -> None:
    enrolled = vectors(510)
    index = filled(enrolled[:500], index_type)
    index.add(
        np.arange(500, 510), [f"label {number}" for number in range(500, 510)], enrolled[500:]
    )
    assert index.living([505, 3, 3, 3000]) == [3, 505]
    np.testing.assert_array_equal(index.live_vectors(), enrolled)
    index.remove([3, 505])
    assert index.living([505, 3, 4]) == [4]
    kept = np.delete(np.arange(510), [3, 505])
    np.testing.assert_array_equal(index.live_ids(), kept)
    assert index.labels() == [f"label {number}" for number in kept.tolist()]
    np.testing.assert_array_equal(index.live_vectors(), enrolled[kept])
    assert len(index.newer_vectors()) == (508 if index_type is IndexType.FLAT else 9)
    built = index.sealed_index
    assert (built is None) == (index_type is IndexType.FLAT)
    assert built is None or built.ntotal == 500


def test_nothing_lives() -> None:
    index = GalleryIndex(Metric.IP, 8)
    assert (index.living([0]), index.live_ids().tolist(), index.labels()) == ([], [], [])
    assert index.live_vectors().shape == (0, 8)
    assert index.sealed_index is None


def test_a_sealed_flat_index_is_not_shown() -> None:
    """Its vectors are overwritten at removals, so nobody may read it meanwhile."""
    enrolled = vectors(20)
    index = GalleryIndex(Metric.IP, DIMENSION, sealed(enrolled, "Flat", Metric.IP))
    assert index.sealed_index is None
    index.remove([0])
    np.testing.assert_array_equal(index.live_vectors(), enrolled[1:])
