"""1:N, open set: who is found among the enrolled, and how many strangers are taken for somebody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.evaluation.figures.intervals import Interval, wilson


@dataclass(frozen=True, slots=True)
class Identification:
    """``rank1``: probes whose nearest template is theirs. ``recognised``: those of them that also
    pass ``threshold``, at which ``accepted_strangers`` of ``strangers`` pass.

    ``fnir``: false negative identification rate, the share of ``probes`` that are not recognised,
    at the wished false positive identification rate ``fpir``; None with the reason in ``refused``.
    ``fpir_interval``: 95 % interval (Wilson) of the rate at ``threshold``.
    """

    rank1: int
    recognised: int
    probes: int
    threshold: float
    accepted_strangers: int
    strangers: int
    fpir: float
    fpir_interval: Interval | None
    fnir: float | None
    refused: str | None
    templates: int
    people: int


@dataclass(frozen=True, slots=True)
class SearchScores:
    """Of each probe its nearest template: the score (N,), NaN for a probe without a face, whether
    it is of the probe's person, and whether that person is a ``stranger`` to the gallery of
    ``templates`` of ``people``."""

    best: NDArray[np.float64]
    right: NDArray[np.bool_]
    stranger: NDArray[np.bool_]
    templates: int
    people: int


@dataclass(frozen=True, slots=True)
class SearchPoint:
    fpir: float
    fnir: float
    threshold: float


def identification(search: SearchScores, fpir: float) -> Identification:
    """Figures at the lowest threshold that accepts at most ``fpir`` of the strangers (rounded
    down). A probe without a face is never recognised, never accepted.

    Refused is a rate at which not even one of the strangers may pass, unless it is 0.
    """
    scores = _scores(search)
    mates, strangers = ~search.stranger, np.sort(scores[search.stranger])[::-1]
    allowed = int(fpir * len(strangers) + 1e-9)
    threshold = _above(strangers, allowed)
    accepted = int((strangers >= threshold).sum())
    recognised = int((search.right & mates & (scores >= threshold)).sum())
    probes = int(mates.sum())
    refused = _refusal(len(strangers), probes, fpir, allowed)
    return Identification(
        rank1=int((search.right & mates).sum()),
        recognised=recognised,
        probes=probes,
        threshold=threshold,
        accepted_strangers=accepted,
        strangers=len(strangers),
        fpir=fpir,
        fpir_interval=wilson(accepted / len(strangers), len(strangers)) if len(strangers) else None,
        fnir=None if refused else 1 - recognised / probes,
        refused=refused,
        templates=search.templates,
        people=search.people,
    )


def search_curve(search: SearchScores, points: int = 100) -> list[SearchPoint]:
    """FNIR over FPIR, from no stranger accepted to all, evenly on a logarithmic axis."""
    scores = _scores(search)
    strangers = np.sort(scores[search.stranger])[::-1]
    own = np.sort(scores[search.right & ~search.stranger])
    probes = int((~search.stranger).sum())
    if not len(strangers) or not probes:
        return []
    steps = np.concatenate([[0], np.geomspace(1, len(strangers), points)])
    found = []
    for allowed in np.unique(np.round(steps).astype(int)).tolist():
        threshold = _above(strangers, allowed)
        recognised = len(own) - int(np.searchsorted(own, threshold, side="left"))
        accepted = int((strangers >= threshold).sum())
        found.append(SearchPoint(accepted / len(strangers), 1 - recognised / probes, threshold))
    return found


def _scores(search: SearchScores) -> NDArray[np.float64]:
    return np.where(np.isnan(search.best), -np.inf, search.best)


def _above(strangers: NDArray[np.float64], allowed: int) -> float:
    """Just above the first stranger that must not pass; if there are no more, all pass."""
    refused = strangers[allowed] if allowed < len(strangers) else -np.inf
    return float(np.nextafter(refused, np.inf))


def _refusal(strangers: int, probes: int, fpir: float, allowed: int) -> str | None:
    if not probes:
        return "no probes of enrolled people"
    if not strangers:
        return "no strangers among the probes: nobody shows what is wrongly accepted"
    if fpir and not allowed:
        return (
            f"not enough strangers: {strangers:,}, of whom {fpir:.2%} is less than one; "
            f"{int(np.ceil(1 / fpir - 1e-6)):,} are needed"
        )
    return None
