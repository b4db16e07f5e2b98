"""Runs: one font each, in the order that they are seen."""

from __future__ import annotations

import pytest

from serve_app.drawing.fonts import Fonts, installed_fonts
from serve_app.drawing.runs import runs_of


def seen(line: str) -> list[tuple[str, bool]]:
    return [(run.text, run.to_left) for run in runs_of(line, installed_fonts())]


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("", []),
        ("Bob", [("Bob", False)]),
        ("अमिताभ श्रीकृष्ण", [("अमिताभ श्रीकृष्ण", False)]),
        ("محمد العربي", [("محمد العربي", True)]),
        # What Unicode's algorithm (UAX 9) makes of mixed lines.
        ("Bob محمد x", [("Bob ", False), ("محمد", True), (" ", False), ("x", False)]),
        ("Bob שלום محمد", [("Bob ", False), ("محمد", True), ("שלום ", True)]),
        ("محمد Bob 王", [("Bob ", False), ("王", False), ("محمد ", True)]),
        ("שלום (12)", [("(12)", True), ("שלום ", True)]),
        ("(12)", [("(12)", False)]),
    ],
)
def test_order(line: str, runs: list[tuple[str, bool]]) -> None:
    assert seen(line) == runs


def test_every_character_is_in_a_font_that_has_it() -> None:
    for run in runs_of("Zoë محمد 王小明 हिन्दी ไทย 😀 12", installed_fonts()):
        assert all(ord(c) in run.font.characters for c in run.text)


def test_an_emoji_stays_whole() -> None:
    """Joiners and selectors are no font's own: they go with what they join."""
    assert [text for text, _ in seen("👨\u200d👩\u200d👧 ❤\ufe0f")] == [
        "👨\u200d👩\u200d👧",
        " ",
        "❤\ufe0f",
    ]


def test_a_selector_of_han_stays_with_it() -> None:
    assert seen("葛\U000e0100城") == [("葛\U000e0100城", False)]


def test_what_no_font_has_is_left_out() -> None:
    assert seen("aབb") == [("ab", False)]
    assert runs_of("ab", Fonts([])) == []
