"""A ratio from pairs of measurements: each pair was taken at one moment of the machine, so that
what else happened there is in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

LEAST_PAIRS = 3


@dataclass(frozen=True, slots=True)
class PairedRatio:
    """``ratio``: geometric mean over the pairs; ``low``, ``high``: its 95 % interval."""

    ratio: float
    low: float
    high: float
    pairs: int


def paired_ratio(before: Sequence[float], after: Sequence[float]) -> PairedRatio:
    """Of ``after`` to ``before``, by Student's t of the logarithms. Raises ValueError for fewer
    than three pairs, or figures that are not above 0."""
    if len(before) != len(after) or len(before) < LEAST_PAIRS:
        raise ValueError(f"{len(before)} and {len(after)} figures make no interval")
    if not all(0 < figure < math.inf for figure in (*before, *after)):
        raise ValueError("a figure is not above 0")
    logs = np.log(np.asarray(after) / np.asarray(before))
    mean, spread = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    reach = float(t.ppf(0.975, len(logs) - 1)) * spread
    return PairedRatio(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach), len(logs))
