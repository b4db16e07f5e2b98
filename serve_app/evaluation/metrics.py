"""Verification and identification figures from scores. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 10


@dataclass(frozen=True, slots=True)
class Verification:
    """1:1. ``accuracy``: at ``threshold``, the best one on these very pairs. ``ten_fold_accuracy``:
    mean of ten folds, each judged at the threshold that was best on the other nine (LFW's
    protocol): lower, as no pair takes part in choosing its own threshold. NaN if there are too few
    pairs to leave some out."""

    accuracy: float
    ten_fold_accuracy: float
    threshold: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Identification:
    """1:N, open set. ``rank1``: probes whose nearest template is theirs. ``recognised``: those of
    them that also pass ``threshold``, at which ``accepted_strangers`` of ``strangers`` pass."""

    rank1: int
    recognised: int
    probes: int
    threshold: float
    accepted_strangers: int
    strangers: int


def verification(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> Verification:
    """Accuracies of ``scores`` (N,) against ``same`` (N,); both kinds are spread over the folds.

    A score of NaN stands for an image without a face: its pair is judged different.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    fold = np.empty(len(scores), dtype=int)
    for kind in (True, False):
        (members,) = np.nonzero(same == kind)
        fold[members] = np.arange(len(members)) * FOLDS // max(len(members), 1)
    accuracies = []
    for held_out in range(FOLDS):
        test = fold == held_out
        if not test.any() or test.all():  # a set smaller than its folds
            continue
        threshold = best_threshold(scores[~test], same[~test])
        accuracies.append(np.mean((scores[test] >= threshold) == same[test]))
    threshold = best_threshold(scores, same)
    return Verification(
        accuracy=float(np.mean((scores >= threshold) == same)),
        ten_fold_accuracy=float(np.mean(accuracies)) if accuracies else float("nan"),
        threshold=threshold,
        pairs=len(scores),
    )


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The threshold with the most right answers, in the middle of its gap between two scores."""
    order = np.argsort(scores)[::-1]
    ranked, right = scores[order], same[order]
    # Accepting the first n: their true pairs and the false ones of the rest are right.
    correct = np.concatenate([[0], np.cumsum(right)]) + np.concatenate(
        [np.cumsum(~right[::-1])[::-1], [0]]
    )
    # No threshold parts equal scores, and none accepts an image without a face (-inf).
    correct[1:-1][ranked[1:] == ranked[:-1]] = -1
    correct[1:][np.isneginf(ranked)] = -1
    accepted = int(np.argmax(correct))
    if accepted == 0:
        return float(max(ranked[0] + 1e-6, np.finfo(np.float64).min))
    above = ranked[accepted - 1]
    below = ranked[accepted] if accepted < len(ranked) else above - 2e-6
    middle = (above + below) / 2
    return float(middle if np.isfinite(middle) else above)


def identification(
    best_scores: NDArray[np.float64],
    right: NDArray[np.bool_],
    stranger: NDArray[np.bool_],
    fpir: float,
) -> Identification:
    """Figures from each probe's nearest template: its score (N,) and whether it is the right one.

    The threshold is the lowest that accepts at most ``fpir`` of the strangers (rounded down).
    NaN stands for a probe without a face: never recognised, never accepted.
    """
    scores = np.where(np.isnan(best_scores), -np.inf, best_scores)
    mates = ~stranger
    allowed = int(fpir * stranger.sum() + 1e-9)
    strangers = np.sort(scores[stranger])[::-1]
    # Just above the first stranger that must not pass; with fewer strangers than that, all pass.
    refused = strangers[allowed] if allowed < len(strangers) else -np.inf
    threshold = float(np.nextafter(refused, np.inf))
    return Identification(
        rank1=int((right & mates).sum()),
        recognised=int((right & mates & (scores >= threshold)).sum()),
        probes=int(mates.sum()),
        threshold=threshold,
        accepted_strangers=int((scores[stranger] >= threshold).sum()),
        strangers=int(stranger.sum()),
    )
