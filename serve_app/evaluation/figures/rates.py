"""Operating points: thresholds for wished false match rates, and what they let through.

A rate is refused where too few impostor pairs stand behind it. The rule: at least ``SUPPORT`` false
matches are expected at it, that is ``SUPPORT`` / rate impostor pairs; below that the figure says
more about which few people are in the set than about the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from serve_app.evaluation.figures.intervals import Interval, Z, independent_trials, wilson
from serve_app.evaluation.figures.pair_scores import PairScores

SUPPORT = 10
"""False matches that a rate must expect."""

MIN_PEOPLE = 20
"""Fewer make a jackknife over people too uncertain itself (its intervals cover 65 to 97 % with
ten people in simulations)."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What passes at the lowest ``threshold`` whose false match rate is at most ``fpr``. With a
    reason in ``refused``, threshold and rate are None."""

    fpr: float
    threshold: float | None
    tpr: float | None
    true_matches: int
    false_matches: int
    refused: str | None


@dataclass(frozen=True, slots=True)
class WishedRate:
    """The lowest ``threshold`` whose false match rate is at most ``fmr``, with the 95 % interval
    in which the threshold lies that has that rate among people like those of the set; and
    ``achieved``, the rate at ``threshold`` in this set, with its own interval. ``tpr``: genuine
    pairs that pass, None if there are none.
    ``independent_pairs``: as many independent ones would tell as much. ``refused``: why there is no
    threshold; ``interval_refused``: why there is no interval."""

    fmr: float
    threshold: float | None = None
    threshold_interval: Interval | None = None
    tpr: float | None = None
    false_matches: int = 0
    achieved: float | None = None
    achieved_interval: Interval | None = None
    independent_pairs: float | None = None
    refused: str | None = None
    interval_refused: str | None = None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    fpr: float
    tpr: float
    threshold: float


def in_words(rate: float, digits: int = 4) -> str:
    """1e-4 for 0.0001."""
    mantissa, exponent = f"{rate:.{digits - 1}e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def rounded_up(threshold: float) -> str:
    """Four digits; who copies them gets no more false matches than the threshold lets through."""
    return f"{ceil(threshold * 1e4) / 1e4:.4f}"


def too_few(pairs: PairScores, rate: float) -> str | None:
    """Why ``rate`` can't be told from these pairs, if so."""
    needed = ceil(SUPPORT / rate - 1e-6)
    if pairs.impostors >= needed:
        return None
    return f"not enough impostor pairs: {pairs.impostors:,}, {in_words(rate)} needs {needed:,}"


def operating_point(pairs: PairScores, fpr: float) -> OperatingPoint:
    """The true positive rate at ``fpr``. A genuine pair with an image without a face is missed."""
    refused = too_few(pairs, fpr)
    if refused is None and not pairs.genuine_pairs:
        refused = "no genuine pairs: nobody has two images"
    if refused:
        return OperatingPoint(fpr, None, None, 0, 0, refused)
    threshold = pairs.threshold(_allowed(pairs, fpr))
    true_matches = pairs.true_matches(threshold)
    return OperatingPoint(
        fpr,
        threshold,
        true_matches / pairs.genuine_pairs,
        true_matches,
        pairs.false_matches(threshold),
        None,
    )


def wished_rate(pairs: PairScores, fmr: float) -> WishedRate:
    """The threshold for ``fmr``. Its interval inverts the interval of the rate (Woodruff,
    "Confidence intervals for medians and other position measures", JASA 47, 1952): thresholds at
    which the rate seen is one that ``fmr`` explains."""
    if refused := too_few(pairs, fmr):
        return WishedRate(fmr, refused=refused)
    threshold = pairs.threshold(_allowed(pairs, fmr))
    false_matches = pairs.false_matches(threshold)
    achieved = false_matches / pairs.impostors
    tpr = pairs.true_matches(threshold) / pairs.genuine_pairs if pairs.genuine_pairs else None
    found = WishedRate(fmr, threshold, tpr=tpr, false_matches=false_matches, achieved=achieved)
    people = int(np.count_nonzero(pairs.pairs_of))
    if people < MIN_PEOPLE:
        return replace(
            found, interval_refused=f"not enough people: {people}, an interval needs {MIN_PEOPLE}"
        )
    trials = independent_trials(
        false_matches, pairs.impostors, pairs.false_matches_of(false_matches), pairs.pairs_of
    )
    half = Z * sqrt(fmr * (1 - fmr) / trials)
    found = replace(found, achieved_interval=wilson(achieved, trials), independent_pairs=trials)
    if half >= fmr:
        return replace(
            found,
            interval_refused=f"the {false_matches:,} false matches lie on few people and tell no "
            f"more than {fmr * trials:.1f} independent ones; {Z * Z * (1 - fmr):.1f} are needed",
        )
    low, high = (pairs.threshold(_allowed(pairs, rate)) for rate in (fmr + half, fmr - half))
    return replace(found, threshold_interval=Interval(low, high))


def exact_up_to(fmr: float, fprs: tuple[float, ...]) -> float:
    """The highest rate whose threshold is asked for: the lower end of a threshold's interval lies
    at less than twice the wished rate, or there is none."""
    return max(2 * fmr, *fprs)


def curve(pairs: PairScores, points_a_decade: int = 20) -> list[CurvePoint]:
    """ROC: from a single false match to all impostor pairs, evenly on a logarithmic axis."""
    if not pairs.impostors or not pairs.genuine_pairs:
        return []
    decades = np.log10(pairs.impostors)
    steps = np.logspace(0, decades, int(decades * points_a_decade) + 2)
    points = []
    for count in np.unique(np.round(steps).astype(np.int64)).tolist():
        threshold = pairs.threshold(count)
        points.append(
            CurvePoint(
                pairs.false_matches(threshold) / pairs.impostors,
                pairs.true_matches(threshold) / pairs.genuine_pairs,
                threshold,
            )
        )
    return points


def _allowed(pairs: PairScores, rate: float) -> int:
    return int(rate * pairs.impostors + 1e-9)
