from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from serve_app.evaluation.figures.pair_scores import BINS_A_UNIT, ImpostorScores, PairScores


def pair_scores(
    impostors: NDArray[np.float32], genuine: NDArray[np.float32], keep: int, parts: int = 1
) -> PairScores:
    found = ImpostorScores(keep)
    people = np.stack([np.arange(len(impostors)), np.arange(len(impostors)) + 1], axis=1)
    for scores, of in zip(
        np.array_split(impostors, parts), np.array_split(people, parts), strict=True
    ):
        found.count(scores)
        wanted = found.wanted(scores)
        found.offer(scores[wanted], of[wanted].astype(np.int32))
    highest, highest_people = found.highest()
    return PairScores(
        genuine=np.sort(genuine),
        missed=1,
        impostors=len(impostors),
        histogram=found.histogram,
        highest=highest,
        highest_people=highest_people,
        pairs_of=np.zeros(len(impostors) + 1, np.int64),
    )


scores = st.lists(
    st.floats(-1, 1, width=32) | st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=40
).map(lambda values: np.array(values, dtype=np.float32))


@given(scores, scores, st.integers(1, 50), st.integers(1, 4), st.integers(0, 41))
def test_thresholds_let_through_what_they_may(
    impostors: NDArray[np.float32],
    genuine: NDArray[np.float32],
    keep: int,
    parts: int,
    allowed: int,
) -> None:
    found = pair_scores(impostors, genuine, min(keep, len(impostors)), parts)
    threshold = found.threshold(allowed)
    passing = int((impostors.astype(np.float64) >= threshold).sum())
    assert found.false_matches(threshold) == passing <= allowed
    assert found.true_matches(threshold) == int((genuine.astype(np.float64) >= threshold).sum())
    assert found.genuine_pairs == len(genuine) + 1
    if allowed < len(found.highest):
        # The lowest that may be: at the score itself, which is a hair less, too many pass.
        assert (impostors >= found.highest[allowed]).sum() > allowed
        assert threshold == np.nextafter(found.highest[allowed], np.float32(2))
    else:
        lower = threshold - 1.0001 / BINS_A_UNIT
        assert allowed >= len(impostors) or (impostors >= lower).sum() > allowed


@given(scores, st.integers(1, 10), st.integers(1, 5))
def test_the_highest_are_kept_with_their_people(
    impostors: NDArray[np.float32], keep: int, parts: int
) -> None:
    keep = min(keep, len(impostors))
    found = pair_scores(impostors, impostors, keep, parts)
    assert found.highest.tolist() == sorted(impostors.tolist(), reverse=True)[:keep]
    for score, (one, other) in zip(found.highest, found.highest_people, strict=True):
        assert impostors[one] == score
        assert other == one + 1


def test_a_stream_longer_than_the_room_for_it() -> None:
    rng = np.random.default_rng(5)
    found = ImpostorScores(keep=10)
    every = []
    for part in range(30):
        part_scores = rng.random(100_000, dtype=np.float32)
        every.append(part_scores)
        wanted = found.wanted(part_scores)
        people = np.full((len(wanted), 2), part, np.int32)
        found.offer(part_scores[wanted], people)
    highest, people = found.highest()
    everything = np.concatenate(every)
    best = np.argsort(-everything)[:10]
    assert highest.tolist() == everything[best].tolist()
    assert all(score in every[part] for score, part in zip(highest, people[:, 0], strict=True))
    assert len(wanted) < 100_000, "what can't be among the highest is not even looked at"


def test_scores_a_hair_beyond_their_range_are_counted() -> None:
    found = ImpostorScores(keep=1)
    above, below = np.nextafter(np.float32(1), 2, dtype=np.float32), np.float32(-1.0000001)
    found.count(np.array([above, below, 0, -2, -2], dtype=np.float32))
    assert found.histogram.sum() == 3, "-2 stands for no pair"
    assert found.histogram[0] == found.histogram[-1] == found.histogram[BINS_A_UNIT] == 1


def test_how_many_false_matches_each_person_has() -> None:
    found = pair_scores(np.array([0.1, 0.9, 0.8], np.float32), np.zeros(1, np.float32), 3)
    assert found.false_matches_of(0).tolist() == [0, 0, 0, 0]
    assert found.false_matches_of(2).tolist() == [0, 1, 2, 1]
    with pytest.raises(AttributeError):
        found.missed = 2  # type: ignore[misc]
