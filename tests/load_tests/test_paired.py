from __future__ import annotations

import numpy as np
import pytest

from load_tests.paired import paired_ratio


def test_what_hits_both_of_a_pair_is_no_spread() -> None:
    before = [10.0, 20.0, 40.0, 15.0]
    found = paired_ratio(before, [one * 1.02 for one in before])
    assert found.ratio == pytest.approx(1.02)
    assert found.high - found.low < 1e-9
    assert found.pairs == 4


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        moment = chance.uniform(5, 50, 10)
        before = moment * np.exp(chance.normal(0, 0.03, 10))
        after = moment * 1.01 * np.exp(chance.normal(0, 0.03, 10))
        found = paired_ratio(list(before), list(after))
        held += found.low <= 1.01 <= found.high
    assert 930 <= held <= 970


@pytest.mark.parametrize(
    ("before", "after"), [([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, 0], [1, 2, 3])]
)
def test_too_little_is_refused(before: list[float], after: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no interval|not above 0"):
        paired_ratio(before, after)
