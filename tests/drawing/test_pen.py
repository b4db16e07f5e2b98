"""Strokes: text fits its tag, nothing leaves its area."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.drawing.area import Area
from serve_app.drawing.fonts import installed_fonts
from serve_app.drawing.labels import ELLIPSIS
from serve_app.drawing.pen import Pen
from serve_app.types import Image


def pen_of(size: int) -> Pen:
    return Pen(size, installed_fonts())


def blank(width: int = 400, height: int = 200) -> Image:
    return np.full((height, width, 3), 40, np.uint8)


def changed(canvas: Image) -> Area:
    rows, columns = np.nonzero((canvas != 40).any(axis=2))
    return Area(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def farthest(one: Area, other: Area) -> int:
    """Pixels between the sides that differ most."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("size", [12, 20, 120])
@pytest.mark.parametrize(
    "name", ["Alice Ångström", "王小明是一个很长的名字", "Щукина Алёна", "a" * 99, "สมชาย ใจดี"]
)
def test_shorten_fits_and_keeps_as_much_as_it_can(name: str, size: int) -> None:
    pen = pen_of(size)
    whole = pen.tag_size(name, "0.93")[0]
    assert pen.shorten(name, "0.93", whole) == name
    short = pen.shorten(name, "0.93", whole - 1)
    assert short.endswith(ELLIPSIS)
    assert name.startswith(short.removesuffix(ELLIPSIS))
    assert pen.tag_size(short, "0.93")[0] < whole
    kept = len(short) - len(ELLIPSIS)
    assert pen.tag_size(name[: kept + 1] + ELLIPSIS, "0.93")[0] >= whole


def test_shorten_leaves_nothing_of_a_name_without_room() -> None:
    assert pen_of(20).shorten("Alice", "0.93", 1) == ELLIPSIS
    assert pen_of(20).shorten("", "0.93", 1) == ""


def test_a_longer_text_makes_a_wider_tag() -> None:
    pen = pen_of(20)
    widths = [
        pen.tag_size(*texts)[0] for texts in [("", "0.93"), ("Al", "0.93"), ("Alice", "0.93")]
    ]
    assert widths == sorted(set(widths))
    assert pen.tag_size("Alice", "")[0] < pen.tag_size("Alice", "0.93")[0]


@pytest.mark.parametrize("size", [12, 20, 60])
def test_a_tag_covers_its_area_and_no_more(size: int) -> None:
    pen, canvas = pen_of(size), blank(800, 300)
    width, height = pen.tag_size("Ång 王", "0.93")
    tag = Area(50, 60, 50 + width, 60 + height)
    pen.draw_tag(canvas, tag, "Ång 王", "0.93", (90, 200, 90))
    assert farthest(changed(canvas), tag) <= 1, "one pixel softens the edge"
    inside = canvas[tag.top : tag.bottom, tag.left : tag.right]
    assert (inside == (90, 200, 90)).all(axis=2).mean() > 0.4
    assert (inside < 60).all(axis=2).any(), "black text"


def test_text_is_upright_and_in_the_order_written() -> None:
    """Ink of "i" and "W": the narrow letter is where the text begins."""
    pen, canvas = pen_of(60), blank()
    width, height = pen.tag_size("iW", "")
    pen.draw_tag(canvas, Area(0, 0, width, height), "iW", "", (255, 255, 255))
    ink = np.asarray((canvas[:height, :width] < 60).all(axis=2), dtype=np.bool_)
    left, right = ink[:, : width // 2].sum(), ink[:, width // 2 :].sum()
    assert 0 < left < right


def test_a_box_is_a_line_around_untouched_pixels() -> None:
    pen, canvas = pen_of(20), blank()
    pen.draw_box(canvas, Area(50, 40, 150, 140), (90, 200, 90))
    assert farthest(changed(canvas), Area(50, 40, 150, 140)) <= 3, "half a line and its rim"
    assert (canvas[60:120, 70:130] == 40).all()
    assert tuple(canvas[90, 51]) == (90, 200, 90)


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_a_tiny_box_is_drawn(side: int) -> None:
    canvas = blank()
    pen_of(12).draw_box(canvas, Area(50, 40, 50 + side, 40 + side), (90, 200, 90))
    assert (canvas != 40).any()
