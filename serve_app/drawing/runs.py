"""A line of text cut into runs of one font and one direction, in the order that they are seen.

Pillow shapes and orders what is inside a run (HarfBuzz, FriBiDi), but takes one font at a time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from serve_app.drawing.fonts import Font, Fonts
from serve_app.drawing.labels import is_invisible


class Run(NamedTuple):
    """``text`` in the order that it is read; ``to_left``: it is read from right to left."""

    text: str
    font: Font
    to_left: bool


def runs_of(line: str, fonts: Fonts) -> list[Run]:
    """From left to right. Characters that no font has are left out."""
    letters, chosen = _fonts_of(line, fonts)
    base, to_left = _directions(letters)
    pieces = zip(letters, chosen, to_left, strict=True)
    runs = [
        Run("".join(letter for letter, _, _ in piece), *way)
        for way, piece in groupby(pieces, key=lambda one: one[1:])
    ]
    groups = [(left, list(group)) for left, group in groupby(runs, key=lambda run: run.to_left)]
    if base:
        groups.reverse()
    return [run for left, group in groups for run in (reversed(group) if left else group)]


def _fonts_of(line: str, fonts: Fonts) -> tuple[list[str], list[Font]]:
    """Each character's font. Marks, and spaces after a letter, have that of the character before
    them if it has them, joiners in any case."""
    letters: list[str] = []
    chosen: list[Font] = []
    for letter in line:
        last = chosen[-1] if chosen else None
        if last is not None and (is_invisible(letter) or _stays(letter, letters[-1], last)):
            font: Font | None = last
        else:
            font = fonts.font_of(letter)
        if font is not None:
            letters.append(letter)
            chosen.append(font)
    return letters, chosen


def _stays(letter: str, before: str, font: Font) -> bool:
    kind, kind_before = unicodedata.category(letter)[0], unicodedata.category(before)[0]
    return ord(letter) in font.characters and (
        kind == "M" or (kind == "Z" and kind_before in "LM")  # an emoji's space is wide
    )


def _directions(letters: Sequence[str]) -> tuple[bool, list[bool]]:
    """The line's direction, which is its first letter's, and each character's: to the left or not.

    Unicode's bidirectional algorithm (UAX 9) without explicit marks, at two levels: what has no
    direction goes with its neighbours on both sides if they agree, else with the line. Digits
    count among it.
    """
    strong = [
        {"L": False, "R": True, "AL": True}.get(unicodedata.bidirectional(c)) for c in letters
    ]
    base = next((way for way in strong if way is not None), False)
    before, after = _carried(strong, base), _carried(strong[::-1], base)[::-1]
    return base, [one if one == other else base for one, other in zip(before, after, strict=True)]


def _carried(strong: Sequence[bool | None], base: bool) -> list[bool]:
    """Each one's own direction, or that of the last one before it which has one."""
    ways: list[bool] = []
    for way in strong:
        ways.append(way if way is not None else ways[-1] if ways else base)
    return ways
