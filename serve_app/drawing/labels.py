"""A label as one line that the fonts can show. Knows nothing of sizes and pictures."""

from __future__ import annotations

import re
import unicodedata

from serve_app.drawing.fonts import Fonts

MAX_LABEL = 100
"""Characters of a label that are looked at."""

ELLIPSIS = "..."
"""Three full stops: OpenCV's font centres the single character, as Chinese has it."""

JOINERS = "\u200c\u200d"
"""Zero width, but they choose the shape of their neighbours: Persian, Sinhala, emoji."""

OPENCV_HAS = re.compile(
    "["
    "\u0020-\u007e\u00a0-\u017f\u0192\u01a0\u01a1\u01af\u01b0\u01fa-\u01ff\u0218-\u021b"  # Latin
    "\u0384-\u03ce\u0400-\u0482\u048a-\u0513"  # Greek, Cyrillic
    "\u1e80-\u1e85\u1ea0-\u1ef9"  # Latin: Welsh, Vietnamese
    "\u2013\u2014\u2018-\u201e\u2026\u20ac"
    "\u3001-\u3003\u3005-\u3017\u3041-\u3094\u309b-\u309e\u30a1-\u30f6\u30fb-\u30fe"  # kana
    "\u4e00-\u9fc3\uac00-\ud7a3\uff01-\uff5e\uff66-\uff9f"  # Han, Hangul, full and half width
    "]*"
)
"""What OpenCV's font has, ink for each, and needs no shaping: a test draws every one."""


def legible(label: str, fonts: Fonts) -> str:
    """The label in one line; a character that no font has becomes its plainer form (NFKC), or else
    its number, like <U+0F56>: never an empty box."""
    line = clean(label)
    if not OPENCV_HAS.fullmatch(line):
        line = "".join(_shown(character, fonts) for character in line)
        visible = "".join(character for character in line if not is_invisible(character))
        line = visible if OPENCV_HAS.fullmatch(visible) else line
    return line


def clean(label: str) -> str:
    """One line without control, format, private or unassigned characters, at most MAX_LABEL long
    (then with an ellipsis). So no character can turn the direction of what follows it."""
    start = unicodedata.normalize("NFC", label[:MAX_LABEL])
    line = " ".join("".join(c for c in start if c.isspace() or _printable(c)).split())
    return line + ELLIPSIS if len(label) > MAX_LABEL else line


def is_invisible(character: str) -> bool:
    """Joiners and variation selectors: they say which shape a neighbour has, if its font can."""
    return character in JOINERS or "VARIATION SELECTOR" in unicodedata.name(character, "")


def _printable(character: str) -> bool:
    return character in JOINERS or not unicodedata.category(character).startswith("C")


def _shown(character: str, fonts: Fonts) -> str:
    for form in (character, unicodedata.normalize("NFKC", character)):
        if all(
            OPENCV_HAS.fullmatch(c) or is_invisible(c) or fonts.font_of(c) is not None for c in form
        ):
            return form
    return f"<U+{ord(character):04X}>"
