"""The same answer is accepted, another one is not, for each of the three kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.models.selection.agreement import MAX_RELATIVE, Difference, difference

CHANCE = np.random.default_rng(2)


def embeddings(*values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {"fc1": np.stack(values).astype(np.float32)}


def turned(vector: NDArray[Any], cosine: float) -> NDArray[Any]:
    """A vector at that cosine, of another length."""
    other = CHANCE.normal(size=len(vector))
    other -= vector * (other @ vector) / (vector @ vector)
    sine = np.sqrt(1 - cosine**2)
    unit = vector / np.linalg.norm(vector) * cosine + other / np.linalg.norm(other) * sine
    return np.asarray(unit * 7)


@pytest.mark.parametrize(("cosine", "agrees"), [(1, True), (0.99995, True), (0.9998, False)])
def test_embeddings_are_compared_by_their_cosine(cosine: float, agrees: bool) -> None:
    one, two = CHANCE.normal(size=(2, 128))
    found = difference(embeddings(one, two), embeddings(one, turned(two, cosine)))
    assert found.agrees == agrees
    assert found.measure == "1 - cosine"
    assert found.value == pytest.approx(1 - cosine, abs=1e-6)


def test_an_embedding_of_nothing_does_not_agree() -> None:
    one = CHANCE.normal(size=128)
    assert not difference(embeddings(one), embeddings(np.zeros(128))).agrees


def heads(**changes: float) -> dict[str, NDArray[Any]]:
    chance = np.random.default_rng(3)
    made = {
        "cls_8": chance.uniform(0, 0.9, (1, 40, 1)),
        "obj_8": chance.uniform(0, 1e-4, (1, 40, 1)),
        "bbox_8": chance.normal(size=(1, 40, 4)) * 20,
    }
    for name, change in changes.items():
        made[name][0, 3, 0] += change
    return {name: values.astype(np.float32) for name, values in made.items()}


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({}, True),
        ({"bbox_8": 0.01}, True),
        ({"bbox_8": 0.1}, False),
        ({"cls_8": 0.0005}, True),
        ({"cls_8": 0.002}, False),
        ({"obj_8": 5e-5}, True),  # half of its values, and nothing to a threshold
        ({"obj_8": 0.01}, False),
    ],
)
def test_heads_are_compared_to_the_largest_of_their_values(
    changes: dict[str, float], agrees: bool
) -> None:
    found = difference(heads(), heads(**changes))
    assert found.agrees == agrees
    assert found.measure == "relative"
    assert (found.value <= MAX_RELATIVE) == agrees


def boxes(*rows: tuple[float, ...], count: int | None = None) -> dict[str, NDArray[Any]]:
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    return {
        "boxes": table,
        "box_num": np.array([len(table) if count is None else count], dtype=np.int32),
    }


ADA = (0, 0.95, 10.0, 20, 110, 140)
BOB = (0, 0.80, 300.0, 40, 390, 160)
FAINT = (0, 0.05, 5.0, 5, 9, 9)
NOBODY = (-1, 0, 0.0, 0, 0, 0)


def moved(row: tuple[float, ...], pixels: float = 0, score: float = 0) -> tuple[float, ...]:
    return (row[0], row[1] + score, row[2] + pixels, *row[3:])


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (boxes(ADA, BOB), True),
        (boxes(ADA, BOB, FAINT), True),  # nobody asks for boxes of such a score
        (boxes(moved(ADA, 0.9), BOB), True),
        (boxes(moved(ADA, 1.2), BOB), False),
        (boxes(moved(ADA, score=0.0005), BOB), True),
        (boxes(moved(ADA, score=0.01), BOB), False),
        (boxes((1, *ADA[1:]), BOB), False),
        (boxes(ADA), False),
        (boxes(ADA, BOB, moved(BOB, 60)), False),
        (boxes(ADA, BOB, moved(BOB, 60), count=2), True),  # of the next image of a batch
        (boxes(ADA, BOB, NOBODY), True),
        (boxes(), False),
    ],
)
def test_boxes_are_compared_one_by_one(found: dict[str, NDArray[Any]], agrees: bool) -> None:
    for one, other in ((boxes(ADA, BOB), found), (found, boxes(ADA, BOB))):
        assert difference(one, other).agrees == agrees


def test_boxes_come_in_the_same_order_but_for_ties() -> None:
    assert str(difference(boxes(ADA, BOB), boxes(BOB, ADA))) == "boxes in another order"
    twin = moved(BOB, 100, score=0.0004)
    assert difference(boxes(ADA, twin, BOB), boxes(ADA, BOB, twin)).agrees


def test_the_number_of_boxes_may_come_first() -> None:
    expected = boxes(ADA, BOB)
    swapped = {name: expected[name] for name in ("box_num", "boxes")}
    assert difference(swapped, swapped).measure == "pixels"


def test_faint_boxes_are_compared_where_there_are_no_others() -> None:
    other = (0, 0.04, 50.0, 50, 60, 60)
    assert difference(boxes(FAINT, other), boxes(FAINT, other)).agrees
    assert not difference(boxes(FAINT, other), boxes(FAINT, moved(other, 3))).agrees


def test_no_box_at_all_is_no_agreement() -> None:
    for empty in (boxes(), boxes(NOBODY), boxes(NOBODY, count=0)):
        assert str(difference(empty, boxes())) == "no box to compare"


def test_outputs_are_matched_by_name_or_else_by_position() -> None:
    expected = heads()
    turned_round = dict(reversed(expected.items()))
    assert difference(expected, turned_round).agrees
    renamed = {f"fetch_name_{i}": values for i, values in enumerate(expected.values())}
    assert difference(expected, renamed).agrees
    reversed_names = dict(zip(renamed, reversed(renamed.values()), strict=True))
    assert not difference(expected, reversed_names).agrees


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_never_agrees(value: float) -> None:
    for expected, found in ((heads(), heads(cls_8=value)), (heads(cls_8=value),) * 2):
        assert str(difference(expected, found)) == "values that are not finite"


def test_other_shapes_never_agree() -> None:
    cut = {name: values[:, 1:] for name, values in heads().items()}
    assert str(difference(heads(), cut)) == "outputs of other shapes"
    assert not difference(heads(), {"cls_8": heads()["cls_8"]}).agrees


def test_how_it_is_said() -> None:
    assert str(Difference(True, 1.234e-6, "relative")) == "relative 1e-06"
