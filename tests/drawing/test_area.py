"""Rectangles: clipping and overlap."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.drawing.area import Area, clip, overlap
from serve_app.types import Box

FRAME = Area(0, 0, 640, 480)


@pytest.mark.parametrize(
    ("box", "area"),
    [
        ((10.4, 20.6, 30.5, 40.0), Area(10, 21, 30, 40)),
        ((-50.0, -60.0, 100.0, 110.0), Area(0, 0, 100, 110)),
        ((600.0, 440.0, 900.0, 900.0), Area(600, 440, 640, 480)),
        ((-1e30, -1e30, 1e30, 1e30), FRAME),
        ((700.0, 10.0, 800.0, 100.0), None),
        ((100.0, 100.0, 100.0, 200.0), None),
        ((200.0, 200.0, 100.0, 100.0), None),
        ((float("nan"), 0.0, 100.0, 100.0), None),
        ((0.0, 0.0, float("inf"), 100.0), None),
    ],
)
def test_clip(box: Box, area: Area | None) -> None:
    assert clip(box, FRAME) == area


def test_overlap_counts_pixels_of_all_the_others() -> None:
    some = np.array([Area(0, 0, 10, 10), Area(5, 5, 8, 8), Area(50, 50, 60, 60)])
    others = np.array([Area(5, 0, 20, 10), Area(0, 9, 6, 20)])
    assert overlap(some, others).tolist() == [50 + 6, 9, 0]
    assert overlap(some, np.empty((0, 4), np.int64)).tolist() == [0, 0, 0]


def test_width_and_height() -> None:
    assert (FRAME.width, FRAME.height) == (640, 480)
