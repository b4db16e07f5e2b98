"""Where tags go: beside their box, in the frame, off other tags."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from serve_app.drawing.area import Area, overlap
from serve_app.drawing.places import HIDDEN_AT_MOST, Places

FRAME = Area(0, 0, 640, 480)
BOX = Area(300, 200, 360, 280)


def shared(one: Area, other: Area) -> int:
    return int(overlap(np.array([one]), np.array([other]))[0])


def test_above_the_box_where_there_is_room() -> None:
    assert Places(FRAME, [BOX]).take(BOX, (100, 20)) == Area(300, 180, 400, 200)


def test_below_a_box_at_the_top() -> None:
    box = Area(300, 0, 360, 80)
    assert Places(FRAME, [box]).take(box, (100, 20)) == Area(300, 80, 400, 100)


def test_to_the_left_of_a_neighbour() -> None:
    neighbour = Area(370, 170, 450, 280)
    assert Places(FRAME, [BOX, neighbour]).take(BOX, (100, 20)) == Area(260, 180, 360, 200)


@pytest.mark.parametrize("x", [-5, 0, 300, 600])
@pytest.mark.parametrize("y", [-5, 0, 200, 440])
def test_always_in_the_frame(x: int, y: int) -> None:
    box = Area(max(x, 0), max(y, 0), min(x + 60, 640), min(y + 80, 480))
    tag = Places(FRAME, [box]).take(box, (100, 20))
    assert tag is not None
    assert shared(tag, FRAME) == 100 * 20
    assert (tag.width, tag.height) == (100, 20)


def test_a_tag_wider_or_higher_than_the_frame_has_no_place() -> None:
    assert Places(FRAME, [BOX]).take(BOX, (641, 20)) is None
    assert Places(FRAME, [BOX]).take(BOX, (20, 481)) is None
    assert Places(FRAME, [FRAME]).take(FRAME, (640, 480)) == FRAME


def test_tags_of_one_place_spread_and_then_are_left_out() -> None:
    places = Places(FRAME, [BOX])
    taken = [places.take(BOX, (100, 20)) for _ in range(30)]
    tags = [tag for tag in taken if tag is not None]
    assert 4 <= len(tags) < 20
    for one, other in combinations(tags, 2):
        assert shared(one, other) <= HIDDEN_AT_MOST * 100 * 20


def test_a_neighbours_side_is_taken_late() -> None:
    """Over its own box rather than where it seems to be the neighbour's."""
    frame = Area(0, 0, 400, 60)
    box, neighbour = Area(0, 0, 60, 60), Area(80, 0, 140, 60)
    tag = Places(frame, [box, neighbour]).take(box, (70, 20))
    assert tag is not None
    assert tag.left == 0
