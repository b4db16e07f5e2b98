"""The FAISS index of one gallery against brute force, removal and rebuilding included."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.index.gallery import (
    GROWTH_BEFORE_RETRAINING,
    IVF_LEAST_TRAINING,
    GalleryIndex,
    ivf_lists,
    ivf_probes,
    set_faiss_threads,
)
from serve_app.types import Candidate, IndexType, Metric, Vectors

from .samples import DIMENSION, unit, vectors


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several FAISS threads on cores that others use too spin at their barriers for seconds."""
    before = faiss.omp_get_max_threads()
    set_faiss_threads(1)
    yield
    set_faiss_threads(before)


every_type = pytest.mark.parametrize("index_type", IndexType)
every_metric = pytest.mark.parametrize("metric", Metric)


def filled(
    enrolled: Vectors,
    index_type: IndexType = IndexType.FLAT,
    metric: Metric = Metric.IP,
    ids: list[int] | None = None,
) -> GalleryIndex:
    """A gallery whose labels tell the ids."""
    numbers = list(range(len(enrolled))) if ids is None else ids
    names = [f"label {number}" for number in numbers]
    return GalleryIndex(index_type, metric, enrolled.shape[1], numbers, names, enrolled)


def exact(metric: Metric, enrolled: Vectors, probes: Vectors) -> NDArray[np.float64]:
    """Scores (probes, templates) by the metrics' definitions."""
    left, right = probes.astype(np.float64), enrolled.astype(np.float64)
    if metric is Metric.IP:
        return left @ right.T
    lengths = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    distances: NDArray[np.float64] = lengths - 2 * left @ right.T
    return distances


def nearest(metric: Metric, scores: NDArray[np.float64], top_k: int) -> NDArray[np.int64]:
    """Columns (probes, top_k), or as many as there are, nearest first."""
    order = np.argsort(-scores if metric is Metric.IP else scores, axis=1, kind="stable")
    return order[:, :top_k].astype(np.int64)


def ids_of(candidates: list[Candidate]) -> list[int]:
    return [candidate.template_id for candidate in candidates]


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


def clustered(seed: int) -> tuple[Vectors, Vectors]:
    """20,000 templates of 4,000 identities, as embeddings of faces lie, and 400 probes: half of
    them of these identities, half of strangers. (20000, 24) and (400, 24)."""
    chance = np.random.default_rng(seed)
    centres = unit(chance.normal(size=(4000, 24)))

    def sample(count: int) -> Vectors:
        noise = 0.5 / np.sqrt(24) * chance.normal(size=(count, 24))
        return unit(centres[chance.integers(0, len(centres), count)] + noise)

    return sample(20_000), np.concatenate([sample(200), unit(chance.normal(size=(200, 24)))])


@every_metric
@pytest.mark.parametrize(
    ("index_type", "least"), [(IndexType.IVF, 0.95), (IndexType.HNSW32, 0.99)], ids=str
)
def test_recall(index_type: IndexType, least: float, metric: Metric) -> None:
    enrolled, probes = clustered(seed=3)
    scores = exact(metric, enrolled, probes)
    live = np.arange(20_000)
    index = filled(enrolled, index_type, metric)
    assert not index.wants_rebuild
    assert recall(index, metric, scores, live, probes) >= least

    gone = np.random.default_rng(4).permutation(20_000)[:6000]
    index.remove(gone.tolist())
    live = np.setdiff1d(live, gone)
    assert index.wants_rebuild
    assert recall(index, metric, scores, live, probes) >= least

    rebuilt = filled(enrolled[live], index_type, metric, live.tolist())
    assert not rebuilt.wants_rebuild
    assert recall(rebuilt, metric, scores, live, probes) >= least


def recall(
    index: GalleryIndex,
    metric: Metric,
    scores: NDArray[np.float64],
    live: NDArray[np.int64],
    probes: Vectors,
) -> float:
    """Recall at 1. Every candidate must be live, with its own label and score, in order."""
    closeness = scores[:, live] if metric is Metric.IP else -scores[:, live]
    best = live[closeness.argmax(axis=1)].tolist()
    alive = set(live.tolist())
    found = index.search(probes, 5)
    for row, candidates in enumerate(found):
        assert len(set(ids_of(candidates))) == 5
        assert set(ids_of(candidates)) <= alive
        assert all(c.label == f"label {c.template_id}" for c in candidates)
        given = [candidate.score for candidate in candidates]
        assert given == sorted(given, reverse=metric is Metric.IP)
        assert given == pytest.approx(scores[row, ids_of(candidates)].tolist(), abs=1e-5)
    return float(np.mean([ids_of(c)[0] == number for c, number in zip(found, best, strict=True)]))


def test_tombstones_take_no_candidates_places_in_hnsw() -> None:
    """Ninety-five of a hundred removed, and no rebuild yet."""
    enrolled, probes = vectors(4000, 24, seed=5), vectors(50, 24, seed=6)
    index = filled(enrolled, IndexType.HNSW32)
    index.remove(number for number in range(4000) if number % 20)
    kept = np.arange(0, 4000, 20)
    best = kept[nearest(Metric.IP, exact(Metric.IP, enrolled[kept], probes), 20)]
    found = [set(ids_of(candidates)) for candidates in index.search(probes, 20)]
    hits = [len(ids & set(row.tolist())) / 20 for ids, row in zip(found, best, strict=True)]
    assert np.mean(hits) >= 0.95


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
