from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config.service import IndexConfig
from serve_app.planning.costs import DEFAULT_REPORT, read_costs
from serve_app.planning.gallery import EXACT_UNTIL, INDEX_TYPES, index_figures, search_ms

TEMPLATES = st.integers(1, 10**9)


def test_the_measured_sizes_have_the_measured_figures() -> None:
    flat, graph = (index_figures()[name] for name in ("Flat", "HNSW32"))
    assert flat.search(1_000_000) == 40
    assert flat.search(100_000) == pytest.approx(4)
    assert graph.search(100_000) == pytest.approx(0.60)
    assert graph.search(1_000_000) == pytest.approx(1.02)
    assert graph.search(10_000_000) == pytest.approx(1.44)
    assert graph.build_s(1_000_000) == pytest.approx(720)


def test_a_search_is_as_much_slower_as_bare_faiss_is() -> None:
    costs = read_costs(DEFAULT_REPORT)
    as_fast = dataclasses.replace(costs, faiss_ms=0.60)
    half = dataclasses.replace(costs, faiss_ms=1.20)
    unknown = dataclasses.replace(costs, faiss_ms=None)
    for name in INDEX_TYPES:
        own = index_figures()[name].search(300_000)
        assert search_ms(name, 300_000, as_fast) == pytest.approx(own)
        assert search_ms(name, 300_000, half) == pytest.approx(2 * own)
        assert search_ms(name, 300_000, unknown) == own


def test_no_index_holds_a_template_in_less_than_its_floats() -> None:
    floats = 128 * 4
    assert all(one.template_bytes > floats for one in index_figures().values())
    assert index_figures().keys() == set(INDEX_TYPES)


@given(st.sampled_from(INDEX_TYPES), TEMPLATES, TEMPLATES)
def test_more_templates_never_take_less(name: str, one: int, other: int) -> None:
    figures = index_figures()[name]
    small, large = sorted((one, other))
    assert 0 <= figures.search(small) <= figures.search(large)
    assert 0 < figures.build_s(small) <= figures.build_s(large)


def test_small_galleries_are_exact_where_the_service_has_them_exact() -> None:
    assert IndexConfig().exact_until == EXACT_UNTIL
