"""How much of what brute force finds IVF and HNSW find, removals included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.index.gallery import GalleryIndex, Segment
from serve_app.types import IndexType, Metric, Vectors
from tests.index.brute_force import every_metric, exact, filled, ids_of, nearest, sealed
from tests.index.gallery.samples import clustered
from tests.index.samples import vectors


@every_metric
@pytest.mark.parametrize(
    ("index_type", "least"), [(IndexType.IVF, 0.95), (IndexType.HNSW32, 0.99)], ids=str
)
def test_recall(index_type: IndexType, least: float, metric: Metric) -> None:
    enrolled, probes = clustered(seed=3)
    scores = exact(metric, enrolled, probes)
    live = np.arange(20_000)
    index = filled(enrolled, index_type, metric)
    assert recall(index, metric, scores, live, probes) >= least

    gone = np.random.default_rng(4).permutation(20_000)[:6000]
    index.remove(gone.tolist())
    live = np.setdiff1d(live, gone)
    assert recall(index, metric, scores, live, probes) >= least

    rebuilt = filled(enrolled[live], index_type, metric, live.tolist())
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


@every_metric
@pytest.mark.parametrize("index_type", [IndexType.IVF, IndexType.HNSW32], ids=str)
def test_half_removed_is_as_good_as_fresh(index_type: IndexType, metric: Metric) -> None:
    """Of faces' dimension, at 1 and at 10, against an index that never had the removed ones."""
    enrolled, probes = clustered(seed=5, count=10_000, identities=2000, dimension=128)
    gone = np.random.default_rng(6).permutation(10_000)[:5000]
    live = np.setdiff1d(np.arange(10_000), gone)
    worn = sealed(enrolled, index_type, metric)
    worn.remove(gone.tolist())
    fresh = sealed(enrolled[live], index_type, metric, live)
    best = live[nearest(metric, exact(metric, enrolled[live], probes), 10)]
    for k in (1, 10):
        assert share(worn, probes, best, k) >= 0.99 * share(fresh, probes, best, k)


def share(segment: Segment, probes: Vectors, best: NDArray[np.int64], k: int) -> float:
    found = segment.search(probes, k)[1]
    return float((found[:, :, None] == best[:, None, :k]).any(axis=2).mean())


def test_tombstones_take_no_candidates_places_in_hnsw() -> None:
    """Ninety-five of a hundred removed, and no rebuild yet."""
    enrolled, probes = vectors(4000, 24, seed=5), vectors(50, 24, seed=6)
    index = filled(enrolled, IndexType.HNSW32)
    index.remove(number for number in range(4000) if number % 20)
    kept = np.arange(0, 4000, 20)
    best = kept[nearest(Metric.IP, exact(Metric.IP, enrolled[kept], probes), 20)]
    found = [set(ids_of(candidates)) for candidates in index.search(probes, 20)]
    hits = [len(ids & set(row.tolist())) / 20 for ids, row in zip(found, best, strict=True)]
    assert np.mean(hits) >= 0.995
