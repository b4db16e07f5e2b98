"""The fonts that packages ship, and which of them has a character. Knows nothing of drawing.

Noto Sans for a script each, Noto Emoji and Noto Sans CJK (SIL Open Font License 1.1).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fontTools.ttLib import TTFont
from PIL import ImageFont, features

SCRIPTS = (
    *("", "Arabic", "Armenian", "Bengali", "Devanagari", "Ethiopic", "Georgian", "Gujarati"),
    *("Gurmukhi", "Hebrew", "Kannada", "Khmer", "Lao", "Malayalam", "Myanmar", "Oriya", "Sinhala"),
    *("Tamil", "Telugu", "Thai", "Symbols"),
)
"""Noto Sans itself has Latin, Greek and Cyrillic."""

REGULAR = 400
"""Weight; where none is set, Noto Sans CJK is as thin as it gets."""

SIMPLIFIED_CHINESE = 2
"""Font of the CJK collection: all five have every character, in the shapes of one region each."""


@dataclass(frozen=True)
class Font:
    """A font file; ``number`` is its place in a collection."""

    path: Path
    number: int = 0

    @functools.cached_property
    def characters(self) -> frozenset[int]:
        """Code points."""
        with TTFont(self.path, fontNumber=self.number, lazy=True) as font:
            return frozenset(font.getBestCmap())

    def open(self, size: int) -> ImageFont.FreeTypeFont:
        """``size`` in pixels of an em. Takes 0.03 to 0.1 ms."""
        font = ImageFont.truetype(self.path, size, self.number)
        font.set_variation_by_axes([REGULAR])
        return font


class Fonts:
    """In order of preference. Any thread may use it."""

    def __init__(self, fonts: Sequence[Font]) -> None:
        self._fonts = fonts

    def font_of(self, character: str) -> Font | None:
        """The first that has it."""
        code = ord(character)
        return next((font for font in self._fonts if code in font.characters), None)


@functools.cache
def installed_fonts() -> Fonts:
    """The packages' fonts; their tables of characters are read once a process, when a label first
    needs them (0.2 s). None of them where Pillow can't shape: its wheels can (libraqm, FriBiDi),
    some distributions' builds can't and would show Arabic and Hindi in wrong shape and order."""
    if not (features.check("raqm") and features.check("fribidi")):
        return Fonts([])
    noto, cjk = (Path(str(files(package))) for package in ("manimgx_fonts", "manimgx_fonts_cjk"))
    return Fonts(
        [
            *(Font(noto / f"NotoSans{script}[wght].ttf") for script in SCRIPTS),
            Font(noto / "NotoEmoji[wght].ttf"),
            Font(cjk / "NotoSansCJK-VF.otf.ttc", SIMPLIFIED_CHINESE),
        ]
    )
