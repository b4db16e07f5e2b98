"""Which colour a label has, and what can be read on it."""

from __future__ import annotations

import hashlib
import math

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255 each."""

GREY: Colour = (150, 150, 150)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)


def colour_of(label: str | None) -> Colour:
    """The label's colour, the same in every process; grey for None.

    Hue and lightness come from the label's hash; equal steps of OKLCH look equally far apart
    (Björn Ottosson, "A perceptual color space for image processing", 2020: its two matrices).
    """
    if label is None:
        return GREY
    digest = hashlib.blake2b(label.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    hue = math.tau * int.from_bytes(digest[:2], "big") / 2**16
    lightness = (0.64, 0.75, 0.86)[digest[2] % 3]
    a, b = 0.15 * math.cos(hue), 0.15 * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encode(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encode(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encode(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever contrasts more (relative luminance of WCAG 2)."""
    red, green, blue = (_decode(value) for value in colour)
    return BLACK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else WHITE


def mix(colour: Colour, other: Colour, part: float) -> Colour:
    """``part`` (0..1) of the first, the rest of the other."""
    red, green, blue = (
        round(part * a + (1 - part) * b) for a, b in zip(colour, other, strict=True)
    )
    return red, green, blue


def _encode(linear: float) -> int:
    """Linear light 0..1 to a byte of sRGB (IEC 61966-2-1)."""
    value = min(max(linear, 0.0), 1.0)
    return round(
        255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)
    )


def _decode(byte: int) -> float:
    """A byte of sRGB to linear light 0..1."""
    value = byte / 255
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
