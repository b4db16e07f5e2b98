"""Text: shaped, in reading order, in its place, the same from every thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.drawing.colours import BLACK
from serve_app.drawing.fonts import Fonts, installed_fonts
from serve_app.drawing.lettering import Lettering
from serve_app.types import Image
from tests.drawing.names import OPENCV, PACKAGES

NAMES = {**OPENCV, **PACKAGES}


def written(line: str, size: int = 60, height: int = 84) -> NDArray[np.bool_]:
    """Where there is ink, between margins of 20 pixels."""
    lettering = Lettering(size, installed_fonts())
    canvas: Image = np.full((height, lettering.width(line) + 40, 3), 255, np.uint8)
    lettering.write(canvas, line, 20, 64, BLACK)
    return np.asarray(canvas[:, :, 0] < 128, dtype=np.bool_)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_ink_fills_the_width_and_no_more(name: str) -> None:
    columns = np.flatnonzero(written(name).any(axis=0))
    width = Lettering(60, installed_fonts()).width(name)
    assert columns[0] == pytest.approx(20, abs=8)
    assert columns[-1] == pytest.approx(20 + width, abs=12)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_letters_are_as_large_in_both_ways_of_writing(name: str) -> None:
    rows = np.flatnonzero(written(name, height=200).any(axis=1))
    assert 0.4 * 60 < rows[-1] - rows[0] < 1.6 * 60


@pytest.mark.parametrize("name", PACKAGES.values(), ids=PACKAGES)
def test_little_is_cut_off_in_the_height_of_a_tag(name: str) -> None:
    whole, cut = written(name, height=400), written(name)
    assert cut.sum() >= 0.97 * whole.sum()


def test_both_ways_write_latin_alike() -> None:
    opencv, packages = written("Hamburg"), written("Hamburg\u200d")
    assert packages.shape[1] == pytest.approx(opencv.shape[1], rel=0.08)
    heights = [np.ptp(np.flatnonzero(ink.any(axis=1))) for ink in (opencv, packages)]
    assert heights[0] == pytest.approx(heights[1], abs=2)


def test_hebrew_is_read_from_the_right() -> None:
    """The lamed, which is read first, is the only one higher than the others."""
    ink = written("לנננ")
    tallest = np.flatnonzero(ink[np.flatnonzero(ink.any(axis=1))[0]])
    assert tallest.min() > 0.6 * ink.shape[1]


def test_arabic_letters_join() -> None:
    lettering = Lettering(60, installed_fonts())
    assert lettering.width("لا") < 0.9 * sum(map(lettering.width, "لا"))
    assert np.diff(np.flatnonzero(written("سلم").any(axis=0))).max() == 1


def test_letters_of_hindi_join() -> None:
    lettering = Lettering(60, installed_fonts())
    assert lettering.width("क्ष") < 0.9 * (lettering.width("क") + lettering.width("ष"))


def test_an_emoji_of_three_people_is_one() -> None:
    lettering = Lettering(60, installed_fonts())
    assert lettering.width("👨\u200d👩\u200d👧") == lettering.width("😀")


def test_mixed_scripts_are_as_wide_as_their_parts() -> None:
    lettering = Lettering(60, installed_fonts())
    parts = lettering.width("محمد ") + lettering.width("王小明")
    assert lettering.width("محمد 王小明") == pytest.approx(parts, rel=0.1)


def test_a_pile_of_marks_leaves_the_letter() -> None:
    bar = 0.8 * written("Z").sum(axis=1).max()
    rows = written("Z" + "\u030d" * 40).sum(axis=1)
    assert np.flatnonzero(rows > bar).size >= 8, "its upper and its lower line"


def test_ink_is_blended_in_its_colour() -> None:
    lettering = Lettering(60, installed_fonts())
    canvas: Image = np.full((84, 300, 3), (100, 200, 50), np.uint8)
    lettering.write(canvas, "محمد", 20, 64, (10, 0, 250))
    assert (canvas == (10, 0, 250)).all(axis=2).any()
    assert (canvas[:, :10] == (100, 200, 50)).all()
    low, high = canvas.reshape(-1, 3).min(axis=0), canvas.reshape(-1, 3).max(axis=0)
    assert (low.tolist(), high.tolist()) == ([10, 0, 50], [100, 200, 250])


@pytest.mark.parametrize("line", ["Alice", "محمد"])
def test_what_reaches_out_of_the_canvas_is_cut(line: str) -> None:
    large: Image = np.full((200, 200, 3), 255, np.uint8)
    Lettering(60, installed_fonts()).write(large[80:120, 80:120], line, -30, 30, BLACK)
    assert (large[80:120, 80:120] < 128).any()
    large[80:120, 80:120] = 255
    assert (large == 255).all()


def test_a_line_that_no_font_has_is_no_ink() -> None:
    lettering = Lettering(60, Fonts([]))
    canvas: Image = np.full((84, 100, 3), 255, np.uint8)
    assert lettering.width("م") == 0
    lettering.write(canvas, "م", 20, 64, BLACK)
    assert (canvas == 255).all()


def test_threads_write_the_same() -> None:
    names = list(NAMES.values())
    expected = [written(name, 20) for name in names]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for ink, same in zip(pool.map(lambda n: written(n, 20), names), expected, strict=True):
                np.testing.assert_array_equal(ink, same)
