"""Operating points against brute force, and intervals against simulated sets with a known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.evaluation.figures.all_pairs import all_pairs
from serve_app.evaluation.figures.intervals import independent_trials, wilson
from serve_app.evaluation.figures.pair_scores import PairScores
from serve_app.evaluation.figures.rates import (
    curve,
    exact_up_to,
    in_words,
    operating_point,
    rounded_up,
    wished_rate,
)

from .brute_force import compare, grid

NOBODY = np.empty((0, 4), np.float32)


def scores_of(
    vectors: NDArray[np.float32], person: NDArray[np.int32], rate: float = 0.1
) -> PairScores:
    images = np.bincount(person)
    return all_pairs(
        vectors,
        person,
        np.empty((0, vectors.shape[1]), np.float32),
        genuine_pairs=int((images * (images - 1) // 2).sum()),
        rate=exact_up_to(rate, (1e-3,)),
    )


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("fpr", [0.1, 0.03, 0.01])
def test_an_operating_point_equals_brute_force(seed: int, fpr: float) -> None:
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 25, 60).astype(np.int32)
    vectors = grid(rng, 60)
    expected = compare(vectors, person, NOBODY)
    point = operating_point(scores_of(vectors, person), fpr)
    # The best of all thresholds that keep the rate: just above one of the scores.
    candidates = [
        np.nextafter(np.float32(score), np.float32(2)) for score, _, _ in expected.impostors
    ]
    allowed = [t for t in candidates if expected.false_matches(t) <= fpr * len(expected.impostors)]
    assert point.threshold is not None
    assert point.threshold == min(allowed)
    assert point.false_matches == expected.false_matches(point.threshold)
    assert point.true_matches == expected.true_matches(point.threshold)
    assert point.tpr == point.true_matches / len(expected.genuine)
    assert point.refused is None
    wished = wished_rate(scores_of(vectors, person), fpr)
    assert (wished.threshold, wished.tpr) == (point.threshold, point.tpr)
    assert (wished.false_matches, wished.fmr) == (point.false_matches, fpr)
    assert wished.achieved == point.false_matches / len(expected.impostors)


@pytest.mark.parametrize(("people", "refused"), [(45, True), (46, False)])
def test_a_rate_that_too_few_pairs_stand_behind_is_refused(people: int, refused: bool) -> None:
    """45 people with an image each make 990 pairs, 46 make 1,035; 1e-2 needs 1,000."""
    vectors = grid(np.random.default_rng(6), people)
    wished = wished_rate(scores_of(vectors, np.arange(people, dtype=np.int32)), 0.01)
    assert (wished.refused is not None) is refused
    assert (wished.threshold is None) is refused


def test_the_reason_names_both_numbers() -> None:
    found = scores_of(grid(np.random.default_rng(7), 30), np.arange(30, dtype=np.int32) // 2)
    reason = "not enough impostor pairs: 420, 1e-4 needs 100,000"
    point, wished = operating_point(found, 1e-4), wished_rate(found, 1e-4)
    assert point.refused == wished.refused == reason
    assert point.threshold is point.tpr is wished.threshold is wished.achieved is None
    assert wished.threshold_interval is wished.achieved_interval is None


def test_without_genuine_pairs_there_is_a_threshold_but_no_true_rate() -> None:
    found = scores_of(grid(np.random.default_rng(8), 50), np.arange(50, dtype=np.int32))
    point = operating_point(found, 0.1)
    assert (point.tpr, point.refused) == (None, "no genuine pairs: nobody has two images")
    wished = wished_rate(found, 0.1)
    assert wished.threshold is not None
    assert wished.tpr is None
    assert curve(found) == []


def test_few_people_make_no_interval() -> None:
    found = scores_of(grid(np.random.default_rng(9), 190), np.arange(190, dtype=np.int32) % 19)
    wished = wished_rate(found, 0.01)
    assert wished.threshold is not None
    assert wished.interval_refused == "not enough people: 19, an interval needs 20"
    assert wished.threshold_interval is wished.achieved_interval is None


def test_false_matches_of_one_pair_of_people_make_no_interval_of_the_threshold() -> None:
    """Two people whom nothing tells apart, among forty who are far from each other."""
    rng = np.random.default_rng(10)
    centres = rng.normal(size=(40, 64))
    centres[1] = centres[0]
    person = np.repeat(np.arange(40), 5).astype(np.int32)
    vectors = (centres[person] + 0.05 * rng.normal(size=(200, 64))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wished = wished_rate(scores_of(vectors, person), 25.5 / (780 * 25))
    assert wished.false_matches == 25
    assert wished.threshold_interval is None
    assert wished.interval_refused is not None
    assert wished.interval_refused.startswith("the 25 false matches lie on few people")
    assert wished.achieved_interval is not None
    assert wished.achieved_interval.high > 4 * wished.fmr


def test_the_curve_passes_through_the_operating_points() -> None:
    rng = np.random.default_rng(11)
    person = rng.integers(0, 100, 300).astype(np.int32)
    vectors = rng.normal(size=(100, 8))[person] + 0.8 * rng.normal(size=(300, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = scores_of(vectors, person)
    points = curve(found)
    scores = (vectors @ vectors.T)[np.triu_indices(300, 1)]
    same = (person[:, None] == person)[np.triu_indices(300, 1)]
    for point in points:
        assert point.fpr == pytest.approx((scores[~same] >= point.threshold).mean(), abs=5e-5)
        assert point.tpr == pytest.approx((scores[same] >= point.threshold).mean(), abs=5e-3)
    assert points[0].fpr == 1 / found.impostors
    assert (points[-1].fpr, points[-1].tpr) == (1, 1)
    assert [p.fpr for p in points] == sorted(p.fpr for p in points)
    assert [p.tpr for p in points] == sorted(p.tpr for p in points)


@pytest.mark.parametrize(
    ("rate", "words"),
    [(1e-4, "1e-4"), (0.0005, "5e-4"), (0.01, "1e-2"), (1.25e-5, "1.25e-5"), (0.1, "1e-1")],
)
def test_rates_in_words(rate: float, words: str) -> None:
    assert in_words(rate) == words


def test_a_threshold_in_words_is_never_lower() -> None:
    assert [rounded_up(value) for value in (0.41643, 0.4164, 0.40001)] == [
        "0.4165", "0.4164", "0.4001",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """People whose embeddings lie about a centre of their own; ``wolves`` pulls some of the
    centres to one side, so that these people are confused with many."""

    dimension: int
    wolves: float

    def sample(
        self, rng: np.random.Generator, people: int, images: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        centres = rng.normal(size=(people, self.dimension))
        centres[:, 0] += self.wolves * rng.exponential(size=people)
        person = np.repeat(np.arange(people), images)
        vectors = centres[person] + 0.5 * rng.normal(size=(people * images, self.dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32), person.astype(np.int32)

    def threshold(self, fmr: float) -> float:
        """The true one: of nine million pairs that share nobody with each other's rows."""
        rng = np.random.default_rng(0)
        first, _ = self.sample(rng, 3000, 1)
        second, _ = self.sample(rng, 3000, 1)
        return float(np.quantile(first @ second.T, 1 - fmr))


@pytest.mark.parametrize("world", [World(6, 0), World(6, 1.5), World(24, 1)], ids=str)
def test_intervals_hold_the_truth(world: World) -> None:
    """400 sets of 60 people with three images each: 95 % intervals hold the true threshold and the
    true rate in at least 92 %; an interval that takes pairs for independent ones does not where
    some people are confused with many."""
    fmr, sets = 0.01, 400
    truth = world.threshold(fmr)
    rng = np.random.default_rng(1)
    threshold_held, rate_held, naive_held, intervals = 0, 0, 0, 0
    for _ in range(sets):
        found = scores_of(*world.sample(rng, 60, 3), rate=fmr)
        span = wished_rate(found, fmr).threshold_interval
        if span is not None:
            intervals += 1
            threshold_held += span.low <= truth <= span.high
        errors = int((found.highest >= truth).sum())
        trials = independent_trials(
            errors, found.impostors, found.false_matches_of(errors), found.pairs_of
        )
        rate = wilson(errors / found.impostors, trials)
        naive = wilson(errors / found.impostors, found.impostors)
        rate_held += rate.low <= fmr <= rate.high
        naive_held += naive.low <= fmr <= naive.high
    assert intervals > 0.9 * sets
    assert threshold_held >= 0.92 * intervals
    assert rate_held >= 0.92 * sets
    if world.wolves:
        assert naive_held < 0.6 * sets
