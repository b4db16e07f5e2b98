from __future__ import annotations

import numpy as np
import pytest

from serve_app.evaluation.metrics import best_threshold, identification, verification


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


def test_identification_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.5, 0.7, 0.6, 0.4, 0.3])
    right = np.array([True, False, True, True, False, False, False])
    stranger = np.array([False, False, False, False, True, True, True])
    figures = identification(scores, right, stranger, fpir=1 / 3)
    assert (figures.probes, figures.strangers, figures.rank1) == (4, 3, 3)
    # One stranger may pass (0.6), the next must not (0.4): so does everything above 0.4.
    assert figures.accepted_strangers == 1
    assert 0.4 < figures.threshold < 0.41
    assert figures.recognised == 3


@pytest.mark.parametrize(("fpir", "accepted"), [(0, 0), (0.5, 1), (1, 2)])
def test_strangers_that_pass(fpir: float, accepted: int) -> None:
    scores = np.array([0.9, 0.6, 0.4])
    stranger = np.array([False, True, True])
    figures = identification(scores, ~stranger, stranger, fpir)
    assert figures.accepted_strangers == accepted


def test_without_strangers_everything_passes() -> None:
    figures = identification(np.array([0.1, np.nan]), np.array([True, False]), np.zeros(2, bool), 0)
    assert (figures.recognised, figures.rank1, figures.strangers) == (1, 1, 0)


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


def test_equal_scores_of_strangers_pass_or_fail_together() -> None:
    scores = np.array([0.9, 0.7, 0.7, 0.7, 0.7])
    stranger = np.array([False, False, True, True, True])
    figures = identification(scores, ~stranger, stranger, fpir=1 / 3)
    assert figures.accepted_strangers == 0, "one may pass, but three would"
    assert figures.recognised == 1
    assert 0.7 < figures.threshold < 0.71


def test_strangers_without_a_face_never_pass() -> None:
    scores = np.array([0.9, np.nan, np.nan])
    stranger = np.array([False, True, True])
    figures = identification(scores, ~stranger, stranger, fpir=0)
    assert (figures.accepted_strangers, figures.recognised) == (0, 1)
    assert np.isfinite(figures.threshold)
