from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.evaluation.figures.intervals import Z, independent_trials, wilson

# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17,
# 1998, table I, method 3 (score without continuity correction).
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (29, 29, 0.8830, 1.0),
]


@pytest.mark.parametrize(("errors", "trials", "low", "high"), NEWCOMBE)
def test_wilson_as_published(errors: int, trials: int, low: float, high: float) -> None:
    found = wilson(errors / trials, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


@given(st.floats(0, 1), st.floats(1, 1e9))
def test_wilson_holds_the_rate_and_ends_where_it_is_two_deviations_off(
    rate: float, trials: float
) -> None:
    found = wilson(rate, trials)
    assert 0 <= found.low <= rate <= found.high <= 1
    for end in (found.low, found.high):
        if 1e-9 < end < 1 - 1e-9 and 1e-9 < rate < 1 - 1e-9:
            deviation = math.sqrt(end * (1 - end) / trials)
            assert abs(rate - end) == pytest.approx(Z * deviation, rel=1e-3, abs=1e-12)


def test_jackknife_by_hand() -> None:
    """Three people in three pairs, one of them wrong: left out in turn."""
    errors_of, pairs_of = np.array([1, 1, 0]), np.array([2, 2, 2])
    without = np.array([0 / 1, 0 / 1, 1 / 1])
    variance = 2 / 3 * ((without - 1 / 3) ** 2).sum()
    expected = (1 / 3) * (2 / 3) / variance
    assert independent_trials(1, 3, errors_of, pairs_of) == pytest.approx(expected)


def test_errors_of_one_person_count_for_little() -> None:
    """50 people, all pairs: 49 errors on as many pairs, or all of them one person's."""
    pairs_of = np.full(50, 49)
    one = np.ones(50, dtype=np.int64)
    one[0] = 49
    spread = np.full(50, 2)
    spread[0] = 0
    everybody = independent_trials(49, 1225, spread, pairs_of)
    somebody = independent_trials(49, 1225, one, pairs_of)
    assert somebody < 40 < 500 < everybody <= 1225


def test_without_errors_pairs_are_taken_as_they_are() -> None:
    assert independent_trials(0, 6, np.zeros(4, np.int64), np.full(4, 3)) == 6


def test_people_without_pairs_and_people_in_all_of_them_are_not_left_out() -> None:
    assert independent_trials(1, 2, np.array([1, 1, 0, 0]), np.array([2, 1, 1, 0])) > 0
    assert independent_trials(1, 1, np.array([1, 1]), np.array([1, 1])) == 1
