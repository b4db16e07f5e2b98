"""Which figures count, and what is a loss."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from serve_app.evaluation.embedding import Embedded
from serve_app.evaluation.precision.checks import (
    NOTHING,
    Figure,
    cosines,
    figures_at,
    losses,
    own_figures,
)
from serve_app.evaluation.run import score
from serve_app.evaluation.sets import STRANGER, EvaluationSet, LabelledImage, ListedPair


@pytest.mark.parametrize(
    ("share", "lost"),
    [
        (0.9999, ()),
        (0.9992, ()),
        (0.9982, ()),
        (0.9981, ("1:1 accuracy: 99.81 %, not 99.92 %",)),
        (0.5, ("1:1 accuracy: 50.00 %, not 99.92 %",)),
    ],
)
def test_more_than_a_tenth_of_a_point_is_a_loss_and_a_gain_is_none(
    share: float, lost: tuple[str, ...]
) -> None:
    expected = Figure("1:1 accuracy", 0.9992, 1000)
    assert losses([expected], [Figure("1:1 accuracy", share, 1000)]) == lost


def test_one_pair_of_a_thousand_is_no_loss_and_two_are() -> None:
    def lost(wrong: int, pairs: int = 1000) -> tuple[str, ...]:
        expected = Figure("a", 1 - 3 / pairs, pairs)
        return losses([expected], [Figure("a", 1 - (3 + wrong) / pairs, pairs)])

    assert lost(1) == ()
    assert lost(2) == ("a: 99.50 %, not 99.70 %",)
    assert lost(2, pairs=2000) == ()


def test_a_figure_of_few_tells_nothing() -> None:
    few = [Figure("a", 1.0, 999)]
    assert losses(few, [Figure("a", 0.1, 999)]) == (NOTHING,)
    assert losses([], []) == (NOTHING,)
    both = [*few, Figure("b", 0.5, 1000)]
    assert losses(both, [Figure("a", 0.1, 999), Figure("b", 0.5, 1000)]) == ()


@pytest.mark.parametrize(
    ("rate", "examples", "lost"),
    [
        (1.24e-4, 100, ()),
        (1.26e-4, 100, ("FMR at threshold 0.400: 0.000126, not 0.0001",)),
        (9e-4, 99, ()),
        (0, 100, ()),
    ],
)
def test_a_quarter_more_false_matches_is_a_loss(
    rate: float, examples: int, lost: tuple[str, ...]
) -> None:
    name, share = "FMR at threshold 0.400", Figure("1:1", 0.99, 1000)
    expected = [share, Figure(name, 1e-4, examples, is_false=True)]
    assert losses(expected, [share, Figure(name, rate, 1, is_false=True)]) == lost
    assert losses(expected[1:], expected[1:]) == (NOTHING,)


GALLERY = [LabelledImage("ann1", "Ann"), LabelledImage("bob1", "Bob")]
PROBES = [
    LabelledImage("ann2", "Ann"),
    LabelledImage("bob2", "Bob"),
    LabelledImage("eve", STRANGER),
]
PAIRS = [ListedPair("ann1", "ann2", same=True), ListedPair("bob1", "eve", same=False)]
SET = EvaluationSet(name="toy", root=Path(), pairs=PAIRS, gallery=GALLERY, probes=PROBES)
ANGLES = {"ann1": 0, "ann2": 20, "bob1": 90, "bob2": 70, "eve": 150}


def embedded(shift: float = 0, without: str = "") -> Embedded:
    """Unit vectors at these angles in degrees, all turned by ``shift``."""
    vectors = {
        name: np.array([np.cos(np.radians(a + shift)), np.sin(np.radians(a + shift))], np.float32)
        for name, a in ANGLES.items()
        if name != without
    }
    return Embedded("toy@1", vectors, dict.fromkeys([without] if without else [], "no face"))


def shares(figures: list[Figure]) -> dict[str, tuple[float, int]]:
    return {figure.name: (figure.share, figure.examples) for figure in figures}


def test_figures_at_a_threshold() -> None:
    same = embedded()
    assert shares(figures_at(SET, same, same, [0.9])) == {
        "1:1 at threshold 0.900": (1.0, 2),
        "recognised at threshold 0.900": (1.0, 2),
        "strangers refused at threshold 0.900": (1.0, 1),
    }
    # Eve is 60 degrees from Bob.
    assert (
        shares(figures_at(SET, same, same, [0.49]))["strangers refused at threshold 0.490"][0] == 0
    )


def test_all_pairs_where_people_are_known() -> None:
    known = dataclasses.replace(
        SET,
        gallery=[],
        person_of={"ann1": "Ann", "ann2": "Ann", "bob1": "Bob", "bob2": "Bob"},
        nameless=["eve"],
    )
    found = figures_at(known, embedded(), embedded(), [np.cos(np.radians(55))])
    # Two genuine pairs; Ann's second is 50 degrees from Bob's second, Eve 60 from Bob's first.
    assert [(f.name, f.share, f.examples, f.is_false) for f in found] == [
        ("TPR at threshold 0.574", 1.0, 2, False),
        ("FMR at threshold 0.574", 1 / 8, 1, True),
    ]
    (tpr, fmr) = figures_at(known, embedded(), embedded(40), [np.cos(np.radians(55))])
    assert tpr.share == 2 / 4  # each pair in both roles: one of them is turned away
    assert fmr.share == 6 / 16


def test_templates_of_one_and_probes_of_the_other() -> None:
    """Turned by 15 degrees: Ann's probe moves away from her template, Bob's towards his."""
    one, other = embedded(), embedded(15)
    assert shares(figures_at(SET, one, other, [0.9]))["recognised at threshold 0.900"][0] == 0.5
    swapped = shares(figures_at(SET, other, one, [0.9]))
    assert swapped["recognised at threshold 0.900"][0] == 0.5
    assert shares(figures_at(SET, one, other, [0.9]))["1:1 at threshold 0.900"][0] == 0.5
    assert swapped["1:1 at threshold 0.900"][0] == 1
    assert losses([Figure("x", 1, 1000)], [Figure("x", 0.5, 1000)])


def test_an_image_without_a_face_is_missed() -> None:
    found = shares(figures_at(SET, embedded(), embedded(without="ann2"), [-1.0]))
    assert found["1:1 at threshold -1.000"][0] == 0
    assert found["recognised at threshold -1.000"][0] == 0.5


def test_own_figures() -> None:
    figures = own_figures(score(SET, embedded(), fpir=0.0, fmr=1e-4))
    assert [(f.name, f.examples) for f in figures] == [("1:1 accuracy", 2), ("recognised", 1)]
    assert not any(figure.tells for figure in figures)


def test_cosines() -> None:
    one = embedded()
    assert cosines(one, one) == pytest.approx((1, 1))
    mean, least = cosines(one, embedded(60, without="eve"))
    assert (mean, least) == pytest.approx((0.5, 0.5), abs=1e-6)
