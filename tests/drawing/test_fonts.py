"""The packages' fonts: they are there, they have what is claimed, and glyphs for it."""

from __future__ import annotations

import unicodedata

import pytest
from fontTools.ttLib import TTFont
from PIL import ImageFont

from serve_app.drawing.fonts import Font, Fonts, installed_fonts
from serve_app.drawing.labels import OPENCV_HAS, is_invisible
from tests.drawing.names import OPENCV, PACKAGES


def ink(font: ImageFont.FreeTypeFont, text: str) -> bytes:
    return bytes(font.getmask(text))


@pytest.mark.parametrize("name", [*OPENCV.values(), *PACKAGES.values()])
def test_every_letter_has_a_glyph_that_is_not_the_missing_one(name: str) -> None:
    for letter in name:
        if letter.isspace() or is_invisible(letter):
            continue
        font = installed_fonts().font_of(letter)
        assert font is not None, letter
        opened = font.open(30)
        assert ink(opened, letter) != ink(opened, "\U0010ffff"), letter


def test_what_opencv_has_the_packages_have_too() -> None:
    """A line that mixes both is written in the packages' fonts as a whole."""
    letters = [chr(code) for code in range(0x10000) if OPENCV_HAS.fullmatch(chr(code))]
    assert len(letters) > 32_000
    missing = [c for c in letters if installed_fonts().font_of(c) is None]
    assert [c for c in missing if unicodedata.category(c) not in {"Cn", "Cf"}] == []


def test_what_no_font_has() -> None:
    assert installed_fonts().font_of("བ") is None
    assert installed_fonts().font_of("\U0010ffff") is None


def test_the_first_font_that_has_it_is_taken() -> None:
    arabic = installed_fonts().font_of("م")
    latin = installed_fonts().font_of("a")
    assert arabic is not None
    assert latin is not None
    assert Fonts([arabic, latin]).font_of(" ") is arabic
    assert Fonts([latin, arabic]).font_of(" ") is latin
    assert Fonts([]).font_of(" ") is None


def test_han_is_in_the_shapes_of_mainland_china() -> None:
    font = installed_fonts().font_of("王")
    assert font is not None
    with TTFont(font.path, fontNumber=font.number, lazy=True) as file:
        assert file["name"].getDebugName(1) == "Noto Sans CJK SC"


def test_a_font_opens_in_the_size_asked_for_and_not_as_a_hairline() -> None:
    font = installed_fonts().font_of("王")
    assert font is not None
    small, large = font.open(20), font.open(80)
    assert large.getlength("王") == pytest.approx(4 * small.getlength("王"))
    thin = ImageFont.truetype(font.path, 80, font.number)
    assert sum(ink(large, "王")) > 1.5 * sum(ink(thin, "王"))


def test_without_shaping_no_font_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != "raqm")
    unshaped = installed_fonts.__wrapped__()
    assert unshaped.font_of("م") is None
    monkeypatch.undo()
    assert installed_fonts.__wrapped__().font_of("م") is not None, "this Pillow can shape"


def test_a_font_is_known_by_its_file() -> None:
    font = installed_fonts().font_of("م")
    assert font is not None
    assert Font(font.path) == font
    assert ord("م") in Font(font.path).characters
