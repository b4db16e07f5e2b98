"""A segment against brute force, in every way that FAISS can be kept from finding the removed."""

from __future__ import annotations

import gc

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.index.gallery.kinds import takes_selector
from serve_app.index.gallery.labels import LabelColumn
from serve_app.index.gallery.segment import Segment
from serve_app.types import Metric
from tests.index.brute_force import every_metric, exact, nearest, sealed
from tests.index.samples import vectors

DIMENSION = 8
SELECTING = ["IVF", "HNSW32", "SQ8", "HNSW32_SQ8", "PCAR8,IVF4,Flat", "IVF4,Flat,RFlat", "RaBitQ"]
FILTERING = ["PQ4x4fs", "NSG16", "PQ4"]
every_kind = pytest.mark.parametrize("index_type", [*SELECTING, *FILTERING])


def growing(count: int, metric: Metric = Metric.IP, dimension: int = DIMENSION) -> Segment:
    segment = Segment.growing(metric, dimension)
    names = [f"label {number}" for number in range(count)]
    segment.add(range(count), names, vectors(count, dimension))
    return segment


@settings(max_examples=60, deadline=None)
@given(
    metric=st.sampled_from(Metric),
    parts=st.lists(st.integers(0, 90), max_size=4),
    gone=st.sets(st.integers(-3, 700), max_size=200),
    probes=st.integers(0, 40),
    k=st.integers(0, 120),
)
def test_growing_is_brute_force(
    metric: Metric, parts: list[int], gone: set[int], probes: int, k: int
) -> None:
    count = sum(parts)
    enrolled, asked = vectors(count), vectors(probes, seed=9)
    numbers = np.arange(count) * 2 + 1
    segment, start = Segment.growing(metric, DIMENSION), 0
    for part in parts:
        rows = slice(start, start + part)
        segment.add(numbers[rows], [f"label {n}" for n in numbers[rows]], enrolled[rows])
        segment.remove(sorted(gone)[::2])
        start += part
    segment.remove(gone)
    live = np.flatnonzero(~np.isin(numbers, list(gone)))
    assert (len(segment), segment.rows, segment.dead) == (len(live), count, count - len(live))
    scores, ids = segment.search(asked, k)
    assert scores.shape == ids.shape == (probes, k)
    assert (scores.dtype.name, ids.dtype.name) == ("float32", "int64")
    truth = exact(metric, enrolled[live], asked)
    found = min(k, len(live))
    best = nearest(metric, truth, found)
    expected = np.take_along_axis(truth, best, axis=1)
    assert np.allclose(scores[:, :found], expected, atol=1e-5)
    assert set(ids[:, :found].ravel().tolist()) <= set(numbers[live].tolist())
    assert (ids[:, found:] == -1).all()
    assert (scores[:, found:] == (-np.inf if metric is Metric.IP else np.inf)).all()
    assert segment.labels_of(numbers[live]) == [f"label {n}" for n in numbers[live]]


@every_metric
@pytest.mark.parametrize("dimension", [8, 512])  # of 512, the distance to 1e18 is infinite
@pytest.mark.parametrize("probes", [1, 19, 20, 64])  # FAISS multiplies matrices from 20 on
@pytest.mark.parametrize("k", [1, 2, 100, 101, 1500])
def test_the_overwritten_are_never_found(
    metric: Metric, dimension: int, probes: int, k: int
) -> None:
    segment = growing(1000, metric, dimension)
    segment.remove(range(0, 1000, 3))
    scores, ids = segment.search(vectors(1000, dimension)[:probes], k)
    live = min(k, 666)
    assert (ids[:, :live] % 3 > 0).all()
    assert np.isfinite(scores[:, :live]).all()
    assert (ids[:, live:] == -1).all()


def test_a_removed_vector_is_overwritten() -> None:
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors(3))
    labels = LabelColumn()
    labels.append(["a", "b", "c"])
    segment = Segment.sealed("Flat", Metric.IP, index, np.array([4, 6, 9]), labels)
    assert segment.remove([6, 6, 7, 100, -1]) == 1
    assert segment.remove([6]) == 0
    assert np.isnan(index.reconstruct(1)).all()
    assert np.array_equal(index.reconstruct_n(0, 3)[[0, 2]], vectors(3)[[0, 2]])
    assert labels[1] == ""
    with pytest.raises(KeyError):
        segment.label(6)
    with pytest.raises(KeyError):
        segment.label(5)
    assert segment.label(9) == "c"
    assert (segment.first_id, segment.last_id, segment.dead_share) == (4, 9, 1 / 3)


@pytest.mark.parametrize("index_type", SELECTING)
@every_metric
def test_who_takes_a_selector(index_type: str, metric: Metric) -> None:
    assert takes_selector(faiss_index(index_type, metric))


@pytest.mark.parametrize("index_type", ["PQ4x4fs", "NSG16"])
@every_metric
def test_who_takes_none(index_type: str, metric: Metric) -> None:
    assert not takes_selector(faiss_index(index_type, metric))


def faiss_index(index_type: str, metric: Metric) -> object:
    return sealed(vectors(800), index_type, metric)._faiss


@every_kind
@every_metric
def test_the_removed_are_not_found_and_take_nobodys_place(index_type: str, metric: Metric) -> None:
    segment = sealed(vectors(800), index_type, metric)
    whole = segment.search(vectors(30, seed=9), 800)[1]
    alive = set(range(800))
    for gone in (range(0, 800, 4), range(1, 800, 2), range(700)):
        segment.remove(gone)
        alive -= set(gone)
        gc.collect()  # nothing that FAISS still points to may be collectable
        scores, ids = segment.search(vectors(30, seed=9), 20)
        assert set(ids[ids >= 0].tolist()) <= alive
        steps = np.diff(np.where(ids >= 0, scores, np.nan), axis=1)
        farther = steps if metric is Metric.IP else -steps
        assert (farther[~np.isnan(farther)] <= 0).all()
    assert len(segment) == 25
    if (whole >= 0).all():  # it visits every row: then all that is left is found
        assert (ids >= 0).all()
    segment.remove(range(800))
    assert (segment.search(vectors(2), 5)[1] == -1).all()


def test_replays_and_disorder() -> None:
    segment = Segment.growing(Metric.IP, DIMENSION)
    rows = vectors(4)
    segment.add([9, 2, 9, 4], ["nine", "two", "again", "four"], rows)
    assert (len(segment), segment.first_id, segment.last_id) == (3, 2, 9)
    assert [segment.label(number) for number in (2, 4, 9)] == ["two", "four", "nine"]
    assert segment.search(rows[[0, 1, 3]], 1)[1].ravel().tolist() == [9, 2, 4]
    segment.add([3, 9], ["late", "late"], vectors(2, seed=5))
    segment.add([], [], vectors(0))
    assert len(segment) == 3


def test_empty() -> None:
    segment = Segment.growing(Metric.L2, DIMENSION)
    assert (len(segment), segment.rows, segment.dead_share) == (0, 0, 0.0)
    assert (segment.first_id, segment.last_id) == (-1, -1)
    assert segment.remove([1, 2]) == 0
    assert (segment.search(vectors(2), 3)[1] == -1).all()


def test_parts_that_do_not_fit() -> None:
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors(2))
    labels = LabelColumn()
    labels.append(["a", "b"])
    with pytest.raises(ValueError, match="2 vectors, 3 ids and 2 labels"):
        Segment.sealed("Flat", Metric.IP, index, np.arange(3), labels)
    with pytest.raises(ValueError, match="not strictly ascending"):
        Segment.sealed("Flat", Metric.IP, index, np.array([1, 1]), labels)
