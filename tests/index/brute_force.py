"""What a search should find, by the metrics' definitions; galleries to search it in."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.index.gallery import GalleryIndex, LabelColumn, Segment, train_and_add
from serve_app.types import Candidate, IndexType, Metric, Vectors

every_type = pytest.mark.parametrize("index_type", IndexType)
every_metric = pytest.mark.parametrize("metric", Metric)


def filled(
    enrolled: Vectors,
    index_type: str = IndexType.FLAT,
    metric: Metric = Metric.IP,
    ids: list[int] | None = None,
) -> GalleryIndex:
    """A gallery whose labels tell the ids: sealed with the type, growing if it is Flat."""
    dimension = enrolled.shape[1]
    numbers = np.arange(len(enrolled)) if ids is None else np.array(ids, dtype=np.int64)
    if index_type == IndexType.FLAT:
        gallery = GalleryIndex(metric, dimension)
        gallery.add(numbers, [f"label {number}" for number in numbers.tolist()], enrolled)
        return gallery
    return GalleryIndex(metric, dimension, sealed(enrolled, index_type, metric, numbers))


def sealed(
    enrolled: Vectors, index_type: str, metric: Metric, ids: NDArray[np.int64] | None = None
) -> Segment:
    """As a builder makes it, in the order of ids."""
    numbers = np.arange(len(enrolled)) if ids is None else ids
    order = np.argsort(numbers)
    labels = LabelColumn()
    labels.append([f"label {number}" for number in numbers[order].tolist()])
    index = train_and_add(index_type, metric, enrolled.shape[1], enrolled[order], threads=1)
    return Segment.sealed(index_type, metric, index, numbers[order], labels)


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
