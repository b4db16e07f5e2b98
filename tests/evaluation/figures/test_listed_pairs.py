from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.evaluation.figures.listed_pairs import listed_pairs, same_person


def test_scores_of_both_kinds() -> None:
    found = listed_pairs(
        np.array([0.9, 0.2, np.nan, 0.4, np.nan]),
        np.array([True, False, True, False, False]),
        np.array([(0, 1), (1, 2), (3, 4), (0, 5), (2, 5)]),
    )
    assert found.genuine.tolist() == pytest.approx([0.9])
    assert (found.missed, found.genuine_pairs) == (1, 2)
    assert found.impostors == 2, "a pair without a face was not compared"
    assert found.highest.tolist() == pytest.approx([0.4, 0.2])
    # Images 0 and 1 are one person, who is in both pairs.
    assert found.pairs_of.tolist() == [2, 0, 1, 0, 0, 1]
    assert found.false_matches_of(1).tolist() == [1, 0, 0, 0, 0, 1]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_people_are_what_links_connect(links: list[tuple[int, int]]) -> None:
    found = same_person(np.array(links, dtype=np.int64).reshape(-1, 2), 10)
    reach = np.eye(10, dtype=bool)
    for one, other in links:
        reach[one, other] = reach[other, one] = True
    for _ in range(10):
        reach = reach @ reach
    for image in range(10):
        assert found[image] == np.flatnonzero(reach[image])[0]


def test_no_pairs() -> None:
    found = listed_pairs(np.empty(0), np.empty(0, bool), np.empty((0, 2), np.int64))
    assert (found.genuine_pairs, found.impostors) == (0, 0)
