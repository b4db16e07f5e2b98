"""Text in one size: how wide a line is, and its ink on a canvas.

Knows two ways: OpenCV's own font, which takes microseconds, for the scripts that it has and that
need no shaping; the packages' fonts through Pillow for a line with any other character.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from serve_app.drawing.colours import Colour
from serve_app.drawing.fonts import Font, Fonts
from serve_app.drawing.labels import OPENCV_HAS
from serve_app.drawing.runs import runs_of
from serve_app.types import Image

NOTO_SCALE = 1.07
"""Noto's letters are as high as those of OpenCV's font when its em is this much larger."""


class Piece(NamedTuple):
    """A run, ``left`` pixels from where its line begins."""

    left: int
    text: str
    font: ImageFont.FreeTypeFont
    direction: str


class Lettering:
    """Lines of one size (pixels of an em). An OpenCV font face belongs to the thread that made it
    (two threads that share one garble each other's text) and can't be pickled, nor can Pillow's
    fonts: a lettering lives as long as one picture."""

    def __init__(self, size: int, fonts: Fonts) -> None:
        self._size = size
        self._fonts = fonts
        self._opencv = cv2.FontFace("uni")
        self._open: dict[Font, ImageFont.FreeTypeFont] = {}
        self._lines: dict[str, tuple[list[Piece], int]] = {}

    def width(self, line: str) -> int:
        """Pixels."""
        if OPENCV_HAS.fullmatch(line):
            return int(cv2.getTextSize((0, 0), line, (0, 0), self._opencv, self._size)[2])
        return self._laid_out(line)[1]

    def write(self, canvas: Image, line: str, left: int, baseline: int, ink: Colour) -> None:
        """Draws into the canvas, from pixel ``left`` on.

        A line of the packages' fonts moves up or down, if its marks would not fit otherwise.
        """
        if OPENCV_HAS.fullmatch(line):
            cv2.putText(canvas, line, (left, baseline), ink, self._opencv, self._size)
            return
        pieces, width = self._laid_out(line)
        margin, height = self._size, canvas.shape[0]
        page = Pillow.new("L", (width + 2 * margin, height + 2 * margin))
        pen = ImageDraw.Draw(page)
        for x, text, font, direction in pieces:
            place = (margin + x, margin + baseline)
            pen.text(place, text, 255, font, anchor="ls", direction=direction)
        cover = _fitting_rows(np.asarray(page), height, margin)
        start = max(margin - left, 0)
        _blend(canvas[:, max(left - margin, 0) :], cover[:, start:], ink)

    def _laid_out(self, line: str) -> tuple[list[Piece], int]:
        """The line's pieces and its width."""
        if line not in self._lines:
            pieces, right = [], 0.0
            for text, font, to_left in runs_of(line, self._fonts):
                if font not in self._open:
                    self._open[font] = font.open(round(NOTO_SCALE * self._size))
                piece = Piece(round(right), text, self._open[font], "rtl" if to_left else "ltr")
                pieces.append(piece)
                right += piece.font.getlength(text, direction=piece.direction)
            self._lines[line] = pieces, math.ceil(right)
        return self._lines[line]


def _fitting_rows(page: NDArray[np.uint8], height: int, margin: int) -> NDArray[np.uint8]:
    """``height`` rows of the page: those from ``margin`` on, or if ink would be cut off, as near to
    them as shows all of it."""
    rows = np.flatnonzero(page.any(axis=1))
    if not rows.size:
        return page[margin : margin + height]
    # Of ink that is too tall the middle one keeps the letters, whatever marks are piled on them.
    top = sorted((margin, int(rows[0]), int(rows[-1]) + 1 - height))[1]
    return page[top : top + height]


def _blend(canvas: Image, cover: NDArray[np.uint8], ink: Colour) -> None:
    """Ink over the canvas's left part, as far as each pixel is covered (0..255)."""
    width = min(canvas.shape[1], cover.shape[1])
    part, cover = canvas[:, :width], cover[:, :width, None].astype(np.uint16)
    part[:] = (part * (255 - cover) + np.array(ink, np.uint16) * cover + 127) // 255
