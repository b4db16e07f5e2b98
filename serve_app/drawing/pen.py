"""The strokes: a box around a face and a tag with text, in one size.

Knows where to draw only from its caller.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.drawing.colours import BLACK, Colour, ink_on, mix
from serve_app.types import Image

MAX_LABEL = 100
"""Characters of a label that are looked at."""

ELLIPSIS = "..."
"""Three full stops: OpenCV's font centres the single character, as Chinese has it."""


class Area(NamedTuple):
    """Pixels of the image; ``right`` and ``bottom`` are not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Pen:
    """Boxes and tags of one size. A font face belongs to the thread that made it (two threads that
    share one garble each other's text) and can't be pickled: a pen lives as long as one picture."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._font = cv2.FontFace("uni")
        self._line = max(2, round(size / 7))
        self._padding = round(0.4 * size)
        self._gap = round(0.4 * size)

    def tag_size(self, name: str, number: str) -> tuple[int, int]:
        """Width and height."""
        gap = self._gap if name and number else 0
        width = self._width(name) + gap + self._width(number)
        return width + 2 * self._padding, round(1.4 * self.size)

    def shorten(self, name: str, number: str, width: int) -> str:
        """The name, or what fits of it with an ellipsis into a tag of this width."""

        def tag_width(letters: int) -> int:
            return self.tag_size(name[:letters].rstrip() + ELLIPSIS, number)[0]

        if not name or self.tag_size(name, number)[0] <= width:
            return name
        letters = bisect_right(range(1, len(name)), width, key=tag_width)
        return name[:letters].rstrip() + ELLIPSIS

    def draw_box(self, canvas: Image, box: Area, colour: Colour) -> None:
        corner = min(self.size // 2, box.width // 4, box.height // 4)
        inset = self._line // 2
        outline = _rounded(box, corner, inset)
        # A dark rim keeps the line visible on a background of its own colour.
        rim = self._line + max(2, 2 * (self._line // 4))
        cv2.polylines(canvas, [outline], True, mix(colour, BLACK, 0.3), rim, cv2.LINE_AA)
        cv2.polylines(canvas, [outline], True, colour, self._line, cv2.LINE_AA)

    def draw_tag(self, canvas: Image, tag: Area, name: str, number: str, colour: Colour) -> None:
        cv2.fillPoly(canvas, [_rounded(tag, self.size // 4, 0)], colour, cv2.LINE_AA)
        ink = ink_on(colour)
        left, baseline = tag.left + self._padding, tag.top + round(1.06 * self.size)
        self._write(canvas, name, left, baseline, ink)
        right = tag.right - self._padding - self._width(number)
        self._write(canvas, number, right, baseline, mix(ink, colour, 0.75))

    def _width(self, text: str) -> int:
        return int(cv2.getTextSize((0, 0), text, (0, 0), self._font, self.size)[2])

    def _write(self, canvas: Image, text: str, x: int, baseline: int, colour: Colour) -> None:
        cv2.putText(canvas, text, (x, baseline), colour, self._font, self.size)


def clean(label: str) -> str:
    """One line without control, format, private or unassigned characters, at most MAX_LABEL long
    (then with an ellipsis)."""
    start = unicodedata.normalize("NFC", label[:MAX_LABEL])
    line = " ".join("".join(c for c in start if c.isspace() or _printable(c)).split())
    return line + ELLIPSIS if len(label) > MAX_LABEL else line


def _rounded(area: Area, radius: int, inset: int) -> NDArray[np.int32]:
    """(N, 1, 2) int32: the points of a rectangle with rounded corners, clockwise."""
    left, top = area.left + inset, area.top + inset
    right, bottom = max(area.right - 1 - inset, left), max(area.bottom - 1 - inset, top)
    corners = (
        (left + radius, top + radius, 180),
        (right - radius, top + radius, 270),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
    )
    arcs = [
        cv2.ellipse2Poly((x, y), (radius, radius), 0, angle, angle + 90, 10)
        for x, y, angle in corners
    ]
    return np.concatenate(arcs).astype(np.int32).reshape(-1, 1, 2)


def _printable(character: str) -> bool:
    return not unicodedata.category(character).startswith("C")
