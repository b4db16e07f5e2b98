from __future__ import annotations

import numpy as np
import pytest

from serve_app.evaluation.figures.verification import best_threshold, verification


def test_best_threshold_is_in_the_middle_of_the_gap() -> None:
    scores = np.array([0.9, 0.8, 0.3, 0.2])
    same = np.array([True, True, False, False])
    assert best_threshold(scores, same) == pytest.approx(0.55)


@pytest.mark.parametrize(("same", "expected"), [([True] * 3, 3), ([False] * 3, 0)])
def test_best_threshold_of_one_kind_only(same: list[bool], expected: int) -> None:
    scores = np.array([0.9, 0.5, 0.1])
    assert (scores >= best_threshold(scores, np.array(same))).sum() == expected


def test_best_threshold_beats_every_other() -> None:
    rng = np.random.default_rng(3)
    same = rng.random(300) < 0.5
    scores = rng.normal(np.where(same, 0.6, 0.3), 0.15)
    best = ((scores >= best_threshold(scores, same)) == same).mean()
    every = [((scores >= threshold) == same).mean() for threshold in [*scores, 9]]
    assert best == pytest.approx(max(every))


def test_verification_of_separable_pairs_is_perfect() -> None:
    scores = np.concatenate([np.linspace(0.6, 0.9, 50), np.linspace(0.0, 0.3, 50)])
    figures = verification(scores, np.arange(100) < 50)
    assert figures.accuracy == figures.ten_fold_accuracy == 1
    assert 0.3 < figures.threshold < 0.6
    assert figures.pairs == 100


def test_ten_folds_never_judge_a_pair_by_itself() -> None:
    """One genuine pair far below the others: it is right only at a threshold chosen with it."""
    scores = np.array([0.8] * 19 + [0.35] + [0.3] * 20)
    same = np.array([True] * 20 + [False] * 20)
    figures = verification(scores, same)
    assert figures.accuracy == 1
    assert figures.ten_fold_accuracy == pytest.approx(39 / 40)


def test_a_pair_without_a_face_is_judged_different() -> None:
    scores = np.array([0.9] * 19 + [np.nan] + [0.1] * 19 + [np.nan])
    same = np.array([True] * 20 + [False] * 20)
    assert verification(scores, same).accuracy == pytest.approx(39 / 40)


@pytest.mark.parametrize("seed", range(20))
def test_best_threshold_beats_every_other_also_with_ties_and_missing_faces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for count in range(1, 12):
        same = rng.random(count) < 0.5
        scores = np.where(rng.random(count) < 0.2, -np.inf, rng.integers(0, 4, count) / 4)
        threshold = best_threshold(scores, same)
        assert np.isfinite(threshold)
        finite = [score for score in scores if np.isfinite(score)]
        best = max(((scores >= other) == same).mean() for other in [*finite, 9])
        assert ((scores >= threshold) == same).mean() == pytest.approx(best)


def test_pairs_without_a_face_are_different_though_nearly_all_are_of_one_person() -> None:
    figures = verification(np.array([np.nan] * 3 + [0.5]), np.array([True, True, True, False]))
    assert figures.accuracy == 0.25
    assert figures.threshold > 0.5


def test_spread_of_the_folds_as_lfw_reports_it() -> None:
    rng = np.random.default_rng(4)
    same = np.arange(600) % 2 == 0
    scores = rng.normal(np.where(same, 0.6, 0.3), 0.15)
    figures = verification(scores, same)
    accuracies = []
    for fold in range(10):
        # 30 of either kind, in their order.
        test = np.zeros(600, dtype=bool)
        test[60 * fold : 60 * (fold + 1)] = True
        threshold = best_threshold(scores[~test], same[~test])
        accuracies.append(((scores[test] >= threshold) == same[test]).mean())
    assert figures.ten_fold_accuracy == pytest.approx(np.mean(accuracies))
    assert figures.ten_fold_deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert figures.ten_fold_error == pytest.approx(np.std(accuracies, ddof=1) / np.sqrt(10))
    assert figures.wrong == round((1 - figures.accuracy) * 600)
    assert (figures.pairs, figures.genuine) == (600, 300)


def test_too_few_pairs_for_folds() -> None:
    figures = verification(np.array([0.7]), np.array([True]))
    assert figures.ten_fold_accuracy is figures.ten_fold_deviation is figures.ten_fold_error is None
    assert figures.accuracy == 1
