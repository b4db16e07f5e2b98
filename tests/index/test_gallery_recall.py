"""How much of what brute force finds IVF and HNSW find, removals included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.index.gallery import GalleryIndex
from serve_app.types import IndexType, Metric, Vectors

from .brute_force import every_metric, exact, filled, ids_of, nearest
from .samples import unit, vectors


def clustered(seed: int) -> tuple[Vectors, Vectors]:
    """20,000 templates of 4,000 identities, as embeddings of faces lie, and 400 probes: half of
    them of these identities, half of strangers. (20000, 16) and (400, 16)."""
    chance = np.random.default_rng(seed)
    centres = unit(chance.normal(size=(4000, 16)))

    def sample(count: int) -> Vectors:
        noise = 0.5 / np.sqrt(16) * chance.normal(size=(count, 16))
        return unit(centres[chance.integers(0, len(centres), count)] + noise)

    return sample(20_000), np.concatenate([sample(200), unit(chance.normal(size=(200, 16)))])


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
    assert np.mean(hits) >= 0.995
