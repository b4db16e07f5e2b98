from __future__ import annotations

import random

import pytest

from load_tests.machine.memory_log import slope


def test_a_slope_is_told_a_mean_and_an_hour() -> None:
    at_s = [10.0 * n for n in range(120)]
    rng = random.Random(1)
    grown = [1000 + 20 * at / 3600 + rng.uniform(-2, 2) for at in at_s]
    found = slope(at_s, grown)
    assert found.share == pytest.approx(0.02, rel=0.2)
    assert found.low < found.share < found.high


def test_one_step_and_one_peak_are_no_slope() -> None:
    at_s = [10.0 * n for n in range(120)]
    assert slope(at_s, [1000.0] * 10 + [1010.0] * 110).share == pytest.approx(0, abs=1e-6)
    assert slope(at_s, [1000.0] * 60 + [2000.0] + [1000.0] * 59).share == pytest.approx(0, abs=1e-6)


def test_two_values_make_no_slope() -> None:
    with pytest.raises(ValueError, match="2 values"):
        slope([0, 1], [1, 1])
