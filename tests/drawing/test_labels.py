"""Labels as lines: whatever a label holds, what is shown can be read."""

from __future__ import annotations

import unicodedata

import cv2
import numpy as np
import pytest

from serve_app.drawing.fonts import Fonts, installed_fonts
from serve_app.drawing.labels import (
    ELLIPSIS,
    MAX_LABEL,
    OPENCV_HAS,
    clean,
    is_invisible,
    legible,
)
from tests.drawing.names import OPENCV, PACKAGES


@pytest.mark.parametrize(
    ("label", "line"),
    [
        ("Alice", "Alice"),
        ("  two\n\tlines ", "two lines"),
        ("a\0b\x1bc\x7f", "abc"),
        ("\u202etxt\u200b", "txt"),
        ("e\u0301", "é"),
        ("\ud800", ""),
        ("王小明", "王小明"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_clean_leaves_one_printable_line(label: str, line: str) -> None:
    assert clean(label) == line


def test_clean_bounds_the_length() -> None:
    assert clean("x" * 1_000_000) == "x" * MAX_LABEL + ELLIPSIS
    assert clean("x" * MAX_LABEL) == "x" * MAX_LABEL


@pytest.mark.parametrize("name", [*OPENCV.values(), *PACKAGES.values()])
def test_names_are_shown_as_they_are(name: str) -> None:
    assert legible(name, installed_fonts()) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", OPENCV.values(), ids=OPENCV)
def test_opencv_has(name: str) -> None:
    assert OPENCV_HAS.fullmatch(name)


@pytest.mark.parametrize("name", PACKAGES.values(), ids=PACKAGES)
def test_opencv_has_not(name: str) -> None:
    """It shows question marks, blanks or unjoined letters for these."""
    assert not OPENCV_HAS.fullmatch(name)


def test_opencv_has_ink_for_each_of_them() -> None:
    font, seen = cv2.FontFace("uni"), 0

    def ink(text: str) -> bytes:
        canvas = np.zeros((48, 64, 3), np.uint8)
        cv2.putText(canvas, text, (12, 34), (255, 255, 255), font, 24)
        return canvas.tobytes()

    nothing, missing = ink(" "), ink("\u0e01")
    assert missing == ink("?"), "OpenCV's sign for a character that it has not"
    for letter in map(chr, range(0x10000)):
        if not OPENCV_HAS.fullmatch(letter) or letter in " \u00a0?" or clean(letter) == "":
            continue
        shown = ink(letter)
        assert shown not in {nothing, missing}, f"U+{ord(letter):04X}"
        assert unicodedata.combining(letter) == 0
        assert unicodedata.bidirectional(letter) not in {"R", "AL"}
        seen += 1
    assert seen > 32_000


@pytest.mark.parametrize(
    ("label", "line"),
    [
        ("བ", "<U+0F56>"),
        ("Tenzin བས", "Tenzin <U+0F56><U+0F66>"),
        ("𓀀", "<U+13000>"),
        ("𝓐𝓵𝓲𝓬𝓮", "Alice"),
        ("王\ufe00小\u200d", "王小"),
    ],
)
def test_what_no_font_has_is_spelled_out(label: str, line: str) -> None:
    assert legible(label, installed_fonts()) == line


def test_without_the_packages_fonts_nothing_is_left_out() -> None:
    assert legible("王 م", Fonts([])) == "王 <U+0645>"
    assert legible("👨\u200d👩", Fonts([])) == "<U+1F468><U+1F469>"
    assert legible("ﬁ", Fonts([])) == "fi"


@pytest.mark.parametrize("label", ["", "\0\n", "\u200b"])
def test_a_label_of_nothing_that_shows_is_empty(label: str) -> None:
    assert legible(label, installed_fonts()) == ""


def test_invisible() -> None:
    assert all(map(is_invisible, "\u200c\u200d\ufe0f\U000e0100"))
    assert not any(map(is_invisible, "a \u0301王"))
