"""The strokes: a box around a face and a tag with text, in one size.

Knows where to draw only from its caller.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.drawing.area import Area
from serve_app.drawing.colours import BLACK, Colour, ink_on, mix
from serve_app.drawing.fonts import Fonts
from serve_app.drawing.labels import ELLIPSIS
from serve_app.drawing.lettering import Lettering
from serve_app.types import Image


class Pen:
    """Boxes and tags of one size. It lives as long as one picture, as its lettering does."""

    def __init__(self, size: int, fonts: Fonts) -> None:
        self.size = size
        self._lettering = Lettering(size, fonts)
        self._line = max(2, round(size / 7))
        self._padding = round(0.4 * size)
        self._gap = round(0.4 * size)

    def tag_size(self, name: str, number: str) -> tuple[int, int]:
        """Width and height."""
        gap = self._gap if name and number else 0
        width = self._lettering.width(name) + gap + self._lettering.width(number)
        return width + 2 * self._padding, round(1.4 * self.size)

    def shorten(self, name: str, number: str, width: int) -> str:
        """The name, or what fits of it with an ellipsis into a tag of this width."""

        def tag_width(letters: int) -> int:
            return self.tag_size(name[:letters].rstrip() + ELLIPSIS, number)[0]

        if not name or self.tag_size(name, number)[0] <= width:
            return name
        letters = bisect_right(range(1, len(name)), width, key=tag_width)
        return name[:letters].rstrip() + ELLIPSIS

    def draw_box(self, canvas: Image, box: Area, colour: Colour, *, whole: bool = True) -> None:
        """Its outline, or only the corners. A tiny face's line is whole and outside of the box."""
        side = min(box.width, box.height)
        tiny = side <= 8 * self._line
        whole, inset = whole or tiny, -self._line if tiny else self._line // 2
        corner = min(self.size // 2, max((side - 2 * inset) // 4, 1))
        corners = _corners(box, corner, inset, 0 if whole else max(side // 3 - corner, 1))
        lines = [np.concatenate(corners)] if whole else corners
        # A dark rim keeps the line visible on a background of its own colour.
        rim = self._line + max(2, 2 * (self._line // 4))
        cv2.polylines(canvas, lines, whole, mix(colour, BLACK, 0.3), rim, cv2.LINE_AA)
        cv2.polylines(canvas, lines, whole, colour, self._line, cv2.LINE_AA)

    def draw_tag(self, canvas: Image, tag: Area, name: str, number: str, colour: Colour) -> None:
        """The name at the left, the number at the right; what doesn't fit is cut off."""
        outline = np.concatenate(_corners(tag, self.size // 4, 0, 0))
        cv2.fillPoly(canvas, [outline], colour, cv2.LINE_AA)
        ink, inside = ink_on(colour), canvas[tag.top : tag.bottom, tag.left : tag.right]
        baseline = round(1.06 * self.size)
        self._lettering.write(inside, name, self._padding, baseline, ink)
        right = tag.width - self._padding - self._lettering.width(number)
        self._lettering.write(inside, number, right, baseline, mix(ink, colour, 0.8))


def _corners(area: Area, radius: int, inset: int, length: int) -> list[NDArray[np.int32]]:
    """Four rounded corners, clockwise, (N, 1, 2) int32 each: the points of an arc, and of
    ``length`` pixels of the straight sides before and after it."""
    left, top = area.left + inset, area.top + inset
    right, bottom = max(area.right - 1 - inset, left), max(area.bottom - 1 - inset, top)
    arcs = (
        (left + radius, top + radius, 180, (0, length), (length, 0)),
        (right - radius, top + radius, 270, (-length, 0), (0, length)),
        (right - radius, bottom - radius, 0, (0, -length), (-length, 0)),
        (left + radius, bottom - radius, 90, (length, 0), (0, -length)),
    )
    # Steps that stay within a quarter of a pixel of the arc.
    step = max(1, min(45, round(81 / math.sqrt(max(radius, 1)))))
    corners = []
    for x, y, angle, before, after in arcs:
        arc = cv2.ellipse2Poly((x, y), (radius, radius), 0, angle, angle + 90, step)
        points = [arc[:1] + before, arc, arc[-1:] + after] if length else [arc]
        corners.append(np.concatenate(points).astype(np.int32).reshape(-1, 1, 2))
    return corners
