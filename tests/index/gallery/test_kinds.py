"""Index types: which are taken, how they are built, with which effort they are searched."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.index.gallery.kinds import (
    CHUNK,
    IVF_LEAST_TRAINING,
    check_index_type,
    extended,
    factory_string,
    grows,
    ivf_lists,
    ivf_probes,
    least_templates,
    search_parameters,
    train_and_add,
)
from serve_app.types import IndexType, Metric
from tests.index.brute_force import every_metric, every_type, exact, filled, ids_of, nearest
from tests.index.samples import vectors


@every_type
@every_metric
def test_our_own_are_not_tried(index_type: IndexType, metric: Metric) -> None:
    check_index_type(index_type, 128, metric, limit_s=0)


@every_metric
@pytest.mark.parametrize("index_type", ["IVF64,SQ8", "HNSW16_SQ8", "IVF16,PQ8x4fsr,RFlat", "NSG16"])
def test_factory_strings_that_work(index_type: str, metric: Metric) -> None:
    assert least_templates(index_type, 32, metric) == 0


@pytest.mark.parametrize(
    ("index_type", "why"),
    [
        ("nonsense", "could not parse index string nonsense"),
        ("PQ7", "should be a multiple of the number of subquantizers"),
        ("HNSW0", "FAISS crashed at a trial of it"),
        ("HNSW16_PQ8", "metric is L2, not IP"),
        ("LSH", "METRIC_L2 does not hold"),
        ("IVF1000000000,Flat", "more memory than there is"),
        ("IDMap,Flat", "leave IDMap out"),
        ("IVF16,Flat,IDMap2", "leave IDMap out"),
        ("Flat\n", "printable ASCII"),
        ("F" * 101, "at most 100"),
    ],
)
def test_refusals(index_type: str, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why) as caught:
        check_index_type(index_type, 32, Metric.IP)
    assert "/" not in str(caught.value)
    assert "::" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_type_may_need_more_templates_than_a_trial_has() -> None:
    check_index_type("IVF65536,Flat", 16, Metric.L2)
    assert least_templates("IVF65536,Flat", 16, Metric.L2) == 65536
    assert least_templates("IVF1000,Flat", 16, Metric.L2) == 1000
    with pytest.raises(InvalidRequestError, match="needs at least 65536 templates, there are 50"):
        train_and_add("IVF65536,Flat", Metric.L2, 16, vectors(50, 16), 1)


def test_a_trial_has_a_limit() -> None:
    with pytest.raises(InvalidRequestError, match=r"took longer than 0\.01 s"):
        check_index_type("SQ8", 16, Metric.L2, limit_s=0.01)


@every_metric
@pytest.mark.parametrize("count", [IVF_LEAST_TRAINING - 1, IVF_LEAST_TRAINING])
def test_ivf_about_its_least_training_set(metric: Metric, count: int) -> None:
    assert count in {389, 390}
    enrolled = vectors(count, 16)
    found = filled(enrolled, IndexType.IVF, metric).search(enrolled, 3)
    assert [candidates[0].template_id for candidates in found] == list(range(count))
    if count < IVF_LEAST_TRAINING:
        best = nearest(metric, exact(metric, enrolled, enrolled), 3)
        assert [ids_of(candidates) for candidates in found] == best.tolist()
        assert factory_string("IVF", count) == "Flat"
    else:
        assert factory_string("IVF", count) == "IVF10,Flat"


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


def test_progress_is_told_and_may_end_it() -> None:
    told: list[int] = []
    index = train_and_add("Flat", Metric.IP, 8, vectors(2 * CHUNK + 1), 1, told.append)
    assert told == [CHUNK, 2 * CHUNK, 2 * CHUNK + 1]
    assert index.ntotal == 2 * CHUNK + 1
    assert np.array_equal(index.reconstruct_n(0, index.ntotal), vectors(2 * CHUNK + 1))

    def end(_: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        train_and_add("Flat", Metric.IP, 8, vectors(3), 1, end)


def test_a_build_is_repeatable() -> None:
    rows = vectors(5000)
    first, second = (train_and_add("IVF8,SQ8", Metric.L2, 8, rows, 1) for _ in range(2))
    assert np.array_equal(faiss.serialize_index(first), faiss.serialize_index(second))


def test_what_does_not_grow_is_added_at_once() -> None:
    told: list[int] = []
    index = train_and_add("NSG8", Metric.L2, 8, vectors(CHUNK + 1), 1, told.append)
    assert told == [CHUNK + 1]
    assert not grows(index)


def test_effort_goes_through_wrappers() -> None:
    rows = vectors(800)
    ivf = search_parameters(train_and_add("PCAR4,IVF16,Flat,RFlat", Metric.L2, 8, rows, 1))
    assert isinstance(ivf, faiss.IndexRefineSearchParameters)
    hnsw = search_parameters(train_and_add("HNSW8", Metric.L2, 8, rows, 1), k=300, share=0.5)
    assert hnsw.efSearch == 1200
    assert search_parameters(train_and_add("Flat", Metric.L2, 8, rows, 1)) is None


@every_type
@every_metric
def test_a_copy_with_more_behind(index_type: IndexType, metric: Metric) -> None:
    rows = vectors(1020, 16)
    index = train_and_add(index_type, metric, 16, rows[:1000], threads=1)
    longer = extended(index, rows[1000:], threads=1)
    assert (index.ntotal, longer.ntotal) == (1000, 1020)
    np.testing.assert_array_equal(longer.reconstruct_n(0, 1020), rows)
    _, found = longer.search(rows, 1, params=search_parameters(longer))
    assert (found[:, 0] == np.arange(1020)).mean() > 0.99
