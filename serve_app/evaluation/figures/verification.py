"""1:1 accuracy on a list of pairs, in LFW's protocol: ten folds, each judged by the other nine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 10


@dataclass(frozen=True, slots=True)
class Verification:
    """1:1. ``accuracy``: at ``threshold``, the best one on these very pairs, at which ``wrong`` of
    them are judged wrong. ``ten_fold_accuracy``: mean of ten folds, each judged at the threshold
    that was best on the other nine (LFW's protocol): lower, as no pair takes part in choosing its
    own threshold; with the standard deviation of the folds and, as LFW reports it, the standard
    error of the mean. None if there are too few pairs to leave some out."""

    accuracy: float
    wrong: int
    threshold: float
    ten_fold_accuracy: float | None
    ten_fold_deviation: float | None
    ten_fold_error: float | None
    pairs: int
    genuine: int


def verification(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> Verification:
    """Accuracies of ``scores`` (N,) against ``same`` (N,); both kinds are spread over the folds.

    A score of NaN stands for an image without a face: its pair is judged different.
    """
    scores = np.where(np.isnan(scores), -np.inf, scores)
    threshold = best_threshold(scores, same)
    wrong = int(np.sum((scores >= threshold) != same))
    folds = _folds(scores, same)
    deviation = float(np.std(folds, ddof=1)) if len(folds) > 1 else None
    return Verification(
        accuracy=1 - wrong / len(scores),
        wrong=wrong,
        threshold=threshold,
        ten_fold_accuracy=float(np.mean(folds)) if folds else None,
        ten_fold_deviation=deviation,
        ten_fold_error=None if deviation is None else deviation / float(np.sqrt(len(folds))),
        pairs=len(scores),
        genuine=int(same.sum()),
    )


def _folds(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> list[float]:
    """Accuracy of each fold at the others' threshold. Each kind is dealt out in its order, so that
    a list in the order of its own folds (LFW's) keeps them."""
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
        accuracies.append(float(np.mean((scores[test] >= threshold) == same[test])))
    return accuracies


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
