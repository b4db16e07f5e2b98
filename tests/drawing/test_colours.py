"""Colours of labels: stable, distinct, readable."""

from __future__ import annotations

import subprocess
import sys

import pytest

from serve_app.drawing.colours import BLACK, GREY, WHITE, Colour, colour_of, ink_on, mix

LABELS = ["Alice", "Bob", "王小明", "Алёна", "홍길동", "", "x" * 10_000, "\ud800"]


def relative_luminance(colour: Colour) -> float:
    """WCAG 2.2, written down here anew: the tests' own opinion of contrast."""
    channels = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    dark, light = sorted([relative_luminance(one), relative_luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_no_label_is_grey() -> None:
    assert colour_of(None) == GREY


@pytest.mark.parametrize(
    ("label", "colour"),
    [
        ("Alice", (184, 226, 112)),
        ("Bob", (244, 178, 255)),
        ("王小明", (208, 191, 255)),
        ("Алёна", (255, 167, 227)),
        ("", (216, 98, 90)),
    ],
)
def test_colours_are_the_same_in_every_version(label: str, colour: Colour) -> None:
    """People know whom a colour stands for, and compare pictures of different days."""
    assert colour_of(label) == colour


def test_another_process_gives_the_same_colour() -> None:
    source = "from serve_app.drawing.colours import colour_of; print(colour_of('Alice'))"
    colours = {
        subprocess.run(
            [sys.executable, "-c", source],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert colours == {str(colour_of("Alice"))}


@pytest.mark.parametrize("label", LABELS)
def test_every_label_is_a_colour_that_text_is_readable_on(label: str) -> None:
    colour = colour_of(label)
    assert all(0 <= channel <= 255 for channel in colour)
    ink = ink_on(colour)
    assert contrast(colour, ink) >= 4.5
    assert contrast(colour, mix(ink, colour, 0.8)) >= 4.5, "a tag's number"
    assert max(colour) - min(colour) > 60, "not to be mistaken for the grey of unknown faces"


def test_lightness_differs_too() -> None:
    """For those who see fewer hues: lightness has three steps, a third of the labels each."""
    lightness = sorted(relative_luminance(colour_of(f"person {number}")) for number in range(300))
    assert lightness[270] > 2 * lightness[30]


def test_labels_spread_over_the_colours() -> None:
    colours = {colour_of(f"person {number}") for number in range(200)}
    assert len(colours) > 190
    brightest = [max(range(3), key=colour.__getitem__) for colour in colours]
    assert all(brightest.count(channel) > 20 for channel in range(3))


@pytest.mark.parametrize(
    ("colour", "ink"),
    [(WHITE, BLACK), (BLACK, WHITE), ((255, 255, 0), BLACK), ((0, 0, 160), WHITE)],
)
def test_ink_is_what_contrasts_more(colour: Colour, ink: Colour) -> None:
    assert ink_on(colour) == ink


def test_mix() -> None:
    assert mix((200, 100, 0), (0, 0, 0), 0.5) == (100, 50, 0)
    assert mix((200, 100, 0), (7, 8, 9), 0) == (7, 8, 9)
