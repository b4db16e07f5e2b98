"""How sure a rate is: 95 % confidence intervals of rates, also of rates over pairs.

Pairs that share a person are not independent: one person whom the model confuses with many makes
many false matches at once. An interval that takes pairs for independent trials is then far too
narrow: in simulated sets with such people (10 to 400 of them, tests/evaluation/figures/test_rates)
it held the truth in 26 to 76 % instead of 95 %. Fogliato, Patil and Perona ("Confidence Intervals
for Error Rates in 1:1 Matching Tasks", IJCV 2024, arXiv 2306.01198) find that Wilson's interval is
right when the number of pairs is replaced by the number of independent trials with the same
variance, the person being what was sampled. Their plug-in variance fell short with few people (76
to 90 % with 20 or 30). We take the jackknife over people, which is never too small on average
(Efron and Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981): 90 to 99 %
with 20 or 30 people, 94 to 99 % from 60 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Z = 1.959964
"""Quantile of the normal distribution that leaves 2.5 % at either end."""


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def wilson(rate: float, trials: float) -> Interval:
    """95 % interval of a rate seen in ``trials`` independent ones (E. B. Wilson, 1927)."""
    middle = rate + Z * Z / (2 * trials)
    half = Z * sqrt((rate * (1 - rate) + Z * Z / (4 * trials)) / trials)
    scale = 1 + Z * Z / trials
    # Rounding must not leave the rate outside, which at 0 and 1 is the bound itself.
    return Interval(
        max(0.0, min(rate, (middle - half) / scale)), min(1.0, max(rate, (middle + half) / scale))
    )


def independent_trials(
    errors: int, pairs: int, errors_of: NDArray[np.int64], pairs_of: NDArray[np.int64]
) -> float:
    """How many independent pairs tell as much about the rate ``errors / pairs`` as these do.

    ``errors_of``, ``pairs_of`` (P,): of each person, with anybody; each pair counts for both of
    its people. Never more than ``pairs``. Jackknife: each person is left out in turn, with all
    their pairs.
    """
    took_part = (pairs_of > 0) & (pairs_of < pairs)
    people = int(took_part.sum())
    rate = errors / pairs
    without = (errors - errors_of[took_part]) / (pairs - pairs_of[took_part])
    variance = (people - 1) / people * float(((without - rate) ** 2).sum()) if people else 0.0
    if variance == 0:  # no errors, or none that depends on who is in the set
        return float(pairs)
    return min(float(pairs), rate * (1 - rate) / variance)
