from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config.service import IndexConfig
from serve_app.planning.gallery import EXACT_UNTIL, INDEX_TYPES, index_figures

TEMPLATES = st.integers(1, 10**9)


def test_the_measured_sizes_have_the_measured_figures() -> None:
    flat, graph = (index_figures()[name] for name in ("Flat", "HNSW32"))
    assert flat.search(1_000_000) == 40
    assert flat.search(100_000) == pytest.approx(4)
    assert graph.search(100_000) == pytest.approx(0.60)
    assert graph.search(1_000_000) == pytest.approx(1.02)
    assert graph.search(10_000_000) == pytest.approx(1.44)
    assert graph.build_s(1_000_000) == pytest.approx(720)


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
