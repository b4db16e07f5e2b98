from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from serve_app.evaluation.figures.identification import (
    Identification,
    SearchScores,
    identification,
    search_curve,
)

NO_FACE = float("nan")


def scores(best: Sequence[float], right: Sequence[int], stranger: Sequence[int]) -> SearchScores:
    return SearchScores(np.array(best), np.array(right, bool), np.array(stranger, bool), 5, 4)


def figures(
    best: Sequence[float], right: Sequence[int], stranger: Sequence[int], fpir: float
) -> Identification:
    return identification(scores(best, right, stranger), fpir)


def test_by_hand() -> None:
    found = figures(
        [0.9, 0.8, 0.5, 0.7, 0.6, 0.4, 0.3], [1, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1], 1 / 3
    )
    assert (found.probes, found.strangers, found.rank1) == (4, 3, 3)
    # One stranger may pass (0.6), the next must not (0.4): so does everything above 0.4.
    assert found.accepted_strangers == 1
    assert 0.4 < found.threshold < 0.41
    assert found.recognised == 3
    assert found.fnir == pytest.approx(1 / 4)
    assert found.refused is None
    assert found.fpir_interval is not None
    assert found.fpir_interval.low < 1 / 3 < found.fpir_interval.high
    assert (found.templates, found.people) == (5, 4)


@pytest.mark.parametrize(("fpir", "accepted"), [(0, 0), (0.5, 1), (1, 2)])
def test_strangers_that_pass(fpir: float, accepted: int) -> None:
    found = figures([0.9, 0.6, 0.4], [1, 0, 0], [0, 1, 1], fpir)
    assert found.accepted_strangers == accepted
    assert found.fnir == 0


def test_without_strangers_everything_passes_and_the_rate_is_refused() -> None:
    found = figures([0.1, NO_FACE], [1, 0], [0, 0], 0)
    assert (found.recognised, found.rank1, found.strangers) == (1, 1, 0)
    assert found.fnir is None
    assert found.fpir_interval is None
    assert found.refused is not None
    assert "no strangers" in found.refused


def test_without_probes_of_enrolled_people() -> None:
    found = figures([0.1], [0], [1], 0)
    assert (found.fnir, found.refused) == (None, "no probes of enrolled people")


@pytest.mark.parametrize(("strangers", "refused"), [(99, True), (100, False)])
def test_a_rate_at_which_no_stranger_may_pass_is_refused(strangers: int, refused: bool) -> None:
    best = [0.9, *np.linspace(0.1, 0.3, strangers)]
    found = figures(best, [1] + [0] * strangers, [0] + [1] * strangers, 0.01)
    assert (found.fnir is None) is refused
    if refused:
        assert found.refused == (
            "not enough strangers: 99, of whom 1.00% is less than one; 100 are needed"
        )


def test_equal_scores_of_strangers_pass_or_fail_together() -> None:
    found = figures([0.9, 0.7, 0.7, 0.7, 0.7], [1, 1, 0, 0, 0], [0, 0, 1, 1, 1], 1 / 3)
    assert found.accepted_strangers == 0, "one may pass, but three would"
    assert found.recognised == 1
    assert 0.7 < found.threshold < 0.71


def test_strangers_without_a_face_never_pass() -> None:
    found = figures([0.9, NO_FACE, NO_FACE], [1, 0, 0], [0, 1, 1], 0)
    assert (found.accepted_strangers, found.recognised) == (0, 1)
    assert np.isfinite(found.threshold)


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_made_of_the_figures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 60
    stranger = rng.random(count) < 0.5
    search = SearchScores(
        np.where(rng.random(count) < 0.1, np.nan, rng.integers(0, 20, count) / 20),
        (rng.random(count) < 0.8) & ~stranger,
        stranger,
        1,
        1,
    )
    strangers = int(stranger.sum())
    points = search_curve(search, points=1000)
    expected = {}
    for allowed in range(strangers + 1):
        found = identification(search, (allowed + 1e-6) / strangers)
        expected[found.accepted_strangers / strangers] = 1 - found.recognised / found.probes
    assert {point.fpir: point.fnir for point in points} == pytest.approx(expected)
    assert len(search_curve(search, points=7)) <= 8


def test_no_curve_without_strangers_or_probes() -> None:
    assert search_curve(scores([0.5], [1], [0])) == search_curve(scores([0.5], [0], [1])) == []
