"""Whole pictures: every face is marked where it is, whatever its box and its label."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.drawing import draw
from serve_app.drawing.colours import GREY, Colour, colour_of
from serve_app.types import Box, Image

Mark = tuple[Box, str | None, float | None]


def picture(width: int = 640, height: int = 480) -> Image:
    """A soft gradient without any colour that a label could have."""
    row = np.linspace(10, 40, width).astype(np.uint8)
    return np.repeat(np.tile(row, (height, 1))[:, :, None], 3, axis=2)


def where(image: Image, colour: Colour) -> NDArray[np.bool_]:
    return np.asarray((image == colour).all(axis=2), dtype=np.bool_)


def test_no_face_is_an_unchanged_copy() -> None:
    image = picture()
    drawn = draw(image, [])
    assert drawn is not image
    assert not np.shares_memory(drawn, image)
    np.testing.assert_array_equal(drawn, image)


def test_the_image_itself_is_left_alone() -> None:
    image = picture()
    image.flags.writeable = False
    drawn = draw(image, [((100, 100, 200, 220), "Alice", 0.9)])
    np.testing.assert_array_equal(image, picture())
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_box_and_tag_in_the_colour_of_the_label() -> None:
    drawn = draw(picture(), [((200, 150, 300, 280), "Alice", 0.93)])
    rows, columns = np.nonzero(where(drawn, colour_of("Alice")))
    assert (columns.min(), rows.max()) == pytest.approx((200, 279), abs=2)
    assert rows.min() < 148, "the tag is above the box"
    np.testing.assert_array_equal(drawn[160:270, 210:290], picture()[160:270, 210:290])
    np.testing.assert_array_equal(drawn[300:], picture()[300:])


def test_an_unknown_face_is_grey() -> None:
    drawn = draw(picture(), [((200, 150, 300, 280), None, None)])
    assert where(drawn, GREY).sum() > 500


def test_an_unknown_face_has_no_whole_box() -> None:
    """Its mark is a shape too, for those who see no colours."""
    unknown = draw(picture(), [((200, 150, 300, 280), None, None)])
    known = draw(picture(), [((200, 150, 300, 280), "unknown", None)])
    np.testing.assert_array_equal(unknown[200:230, 190:310], picture()[200:230, 190:310])
    assert (known[200:230, 190:310] != picture()[200:230, 190:310]).any()


def test_one_label_has_one_colour_in_every_picture() -> None:
    small = draw(picture(320, 240), [((50, 90, 120, 190), "王小明", 0.5)])
    large = draw(picture(2000, 1500), [((10, 400, 800, 1400), "王小明", None)])
    assert where(small, colour_of("王小明")).any()
    assert where(large, colour_of("王小明")).any()
    assert not where(draw(small, []), colour_of("Alice")).any()


@pytest.mark.parametrize("score", [None, 0.5, -1.0, 123456.789, float("nan")])
@pytest.mark.parametrize(
    "label", ["", "\0\n", "Alice", "x" * 10_000, "😀👨‍👩‍👧", "שלום", "\ud800", None]
)
def test_any_label_and_score_can_be_drawn(label: str | None, score: float | None) -> None:
    drawn = draw(picture(), [((200, 150, 300, 280), label, score)])
    assert (drawn != picture()).any()


@pytest.mark.parametrize(
    "box",
    [
        (-50.0, -60.0, 100.0, 110.0),
        (600.0, 440.0, 900.0, 900.0),
        (-1e30, -1e30, 1e30, 1e30),
        (0.0, 0.0, 640.0, 480.0),
        (10.0, 10.0, 11.0, 11.0),
        (300.0, -20.0, 310.0, 500.0),
    ],
)
def test_a_box_that_is_partly_outside_is_drawn_as_far_as_it_is_inside(box: Box) -> None:
    drawn = draw(picture(), [(box, "Alice", 0.9)])
    assert where(drawn, colour_of("Alice")).sum() > 100


def test_boxes_at_the_border_leave_the_rest_alone() -> None:
    """And what is outside of the picture is not there to be drawn on."""
    frame = picture(660, 500)
    inside = frame[10:490, 10:650]
    marks: list[Mark] = [
        ((-9, -9, 60, 60), "Alice", 0.9),
        ((600, -9, 700, 60), "محمد", 0.9),
        ((-9, 430, 60, 500), None, None),
        ((600, 430, 700, 500), "王小明", 0.9),
    ]
    before = frame.copy()
    drawn = draw(inside, marks)
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(drawn[100:380, 240:400], inside[100:380, 240:400])


def test_in_a_crowd_some_tags_are_left_out() -> None:
    """Forty faces on 320 x 240: there is no room for every name, those that are there are whole."""
    marks: list[Mark] = [
        ((x, y, x + 22, y + 26), f"Person {x}/{y}", 0.9)
        for y in range(8, 240, 48)
        for x in range(8, 320, 40)
    ]
    drawn = draw(picture(320, 240), marks)
    coloured = [int(where(drawn, colour_of(label)).sum()) for _, label, _ in marks]
    assert sum(pixels > 30 for pixels in coloured) >= 36, "most boxes can be seen"
    tagged = sum(pixels > 500 for pixels in coloured)
    alone = draw(picture(320, 240), marks[:1])
    whole = int(where(alone, colour_of(marks[0][1])).sum())
    assert 8 <= tagged < 40
    assert sum(0.8 * whole < pixels for pixels in coloured) >= tagged / 2


@pytest.mark.parametrize(
    "box",
    [
        (-50.0, -60.0, -10.0, -20.0),
        (700.0, 10.0, 800.0, 100.0),
        (100.0, 100.0, 100.0, 200.0),
        (200.0, 200.0, 100.0, 100.0),
        (float("nan"), 0.0, 100.0, 100.0),
        (0.0, 0.0, float("inf"), 100.0),
    ],
)
def test_a_box_without_a_pixel_is_left_out(box: Box) -> None:
    np.testing.assert_array_equal(draw(picture(), [(box, "Alice", 0.9)]), picture())


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (20, 20), (40, 16)])
def test_a_picture_too_small_for_a_tag_keeps_its_box(size: tuple[int, int]) -> None:
    drawn = draw(picture(*size), [((0, 0, *size), "Alice", 0.9)])
    assert (drawn != picture(*size)).any()


@pytest.mark.parametrize("corner", [(0, 0), (540, 0), (0, 360), (540, 360)])
def test_a_tag_stays_whole_in_every_corner(corner: tuple[int, int]) -> None:
    x, y = corner
    middle = draw(picture(), [((270, 180, 370, 300), "Alice Liddell", 0.9)])
    drawn = draw(picture(), [((x, y, x + 100, y + 120), "Alice Liddell", 0.9)])
    colour = colour_of("Alice Liddell")
    assert where(drawn, colour).sum() >= 0.8 * where(middle, colour).sum()


def test_tags_of_neighbours_do_not_cover_each_other() -> None:
    one: Mark = ((200, 200, 260, 280), "Alice Liddell", 0.9)
    other: Mark = ((265, 200, 325, 280), "Bob Baker", 0.9)
    alone = where(draw(picture(), [one]), colour_of("Alice Liddell")).sum()
    both = where(draw(picture(), [one, other]), colour_of("Alice Liddell")).sum()
    assert both >= 0.95 * alone


def test_text_grows_with_the_picture() -> None:
    small = draw(picture(320, 240), [((80, 80, 180, 200), "Alice", 0.9)])
    large = draw(picture(3200, 2400), [((800, 800, 1800, 2000), "Alice", 0.9)])
    colour = colour_of("Alice")
    assert where(large, colour).sum() > 10 * where(small, colour).sum()


def test_threads_draw_the_same_picture() -> None:
    marks: list[Mark] = [
        ((200, 150, 300, 280), "王小明 Алёна", 0.93),
        ((400, 150, 500, 280), "محمد हिन्दी", 0.93),
        ((20, 50, 90, 150), None, 0.1),
    ]
    expected = draw(picture(), marks)
    with ThreadPoolExecutor(4) as pool:
        for drawn in pool.map(lambda _: draw(picture(), marks), range(200)):
            np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("width", [320, 640, 1280, 3840, 7680])
def test_text_is_readable_in_every_size(width: int) -> None:
    """As high in the picture's own pixels as can be read, and about the same part of it."""
    height = width * 9 // 16
    box = (width * 0.4, height * 0.4, width * 0.55, height * 0.7)
    drawn = draw(picture(width, height), [(box, "Alice", 0.9)])
    rows, columns = np.nonzero(where(drawn, colour_of("Alice"))[: round(box[1])])
    tag_height = int(rows.max() - rows.min())
    assert tag_height >= 14
    assert 0.02 < tag_height / height < 0.1
    assert (columns.max() - columns.min()) / width < 0.35


def test_a_tiny_face_is_not_under_its_own_box() -> None:
    drawn = draw(picture(), [((300, 200, 312, 212), "Alice", 0.9)])
    np.testing.assert_array_equal(drawn[202:210, 302:310], picture()[202:210, 302:310])
    assert where(drawn, colour_of("Alice"))[195:220, 295:320].any()


def test_a_whole_name_is_shown_where_there_is_room() -> None:
    name = "Maximiliana Wolfeschlegelstein"
    few = draw(picture(), [((300, 200, 360, 280), name, 0.9)])
    columns = np.nonzero(where(few, colour_of(name)).any(axis=0))[0]
    assert columns.max() - columns.min() > 200


def test_three_faces_take_milliseconds() -> None:
    image = picture()
    marks: list[Mark] = [((x, 150, x + 90, 270), f"Person {x}", 0.9) for x in (50, 250, 450)]
    draw(image, marks)
    best = min(timed(image, marks) for _ in range(10))
    assert best < 0.008


def test_names_of_the_packages_fonts_take_milliseconds() -> None:
    image = picture()
    marks: list[Mark] = [
        ((x, 150, x + 90, 270), name, 0.9)
        for x, name in ((50, "محمد العربي"), (250, "अमिताभ श्रीकृष्ण"), (450, "สมชาย ใจดี"))
    ]
    draw(image, marks)
    assert min(timed(image, marks) for _ in range(10)) < 0.03


def timed(image: Image, marks: list[Mark]) -> float:
    start = time.perf_counter()
    draw(image, marks)
    return time.perf_counter() - start
