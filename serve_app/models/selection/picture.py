"""A drawn photograph: faces that a detector finds, without anybody's likeness in the repository.

Runtimes are compared by what they find in it. In noise they would find nothing, and agree.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.types import Image

HEIGHT, WIDTH = 480, 640
FACES = ((150, 150, 150), (400, 220, 230), (560, 110, 80), (90, 380, 110))
"""Middle x, middle y and height of each face, in pixels."""

Colour = tuple[int, int, int]
HAIR, NECK, SKIN = (52, 36, 28), (196, 148, 120), (224, 176, 146)
WHITE, IRIS, BROW = (245, 245, 240), (60, 40, 30), (60, 42, 32)
CHEEK, NOSE, NOSTRIL, LIPS = (230, 160, 138), (208, 156, 128), (150, 100, 85), (176, 84, 84)

PARTS: tuple[tuple[float, float, float, float, Colour], ...] = (
    (0, -6, 41, 54, HAIR),
    (0, 50, 16, 24, NECK),
    (0, 0, 36, 48, SKIN),
    *((side * 15, -6, 8, 4.5, WHITE) for side in (-1, 1)),
    *((side * 15, -6, 4, 4, IRIS) for side in (-1, 1)),
    *((side * 15, -15, 10, 3, BROW) for side in (-1, 1)),
    *((side * 22, 14, 8, 7, CHEEK) for side in (-1, 1)),
    (0, 6, 4, 12, NOSE),
    *((side * 3, 15, 2, 1.5, NOSTRIL) for side in (-1, 1)),
    (0, 27, 13, 4, LIPS),
)
"""Ellipses from back to front: middle x and y, from the face's middle, and the half axes, all in
hundredths of the face's height, and the colour (RGB)."""


def picture() -> Image:
    """(480, 640, 3) uint8 RGB with four faces on a ground of coloured spots; always the same."""
    chance = np.random.default_rng(1)
    spots = chance.integers(40, 216, (12, 16, 3)).astype(np.uint8)
    image = np.array(cv2.resize(spots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
    for middle_x, middle_y, height in FACES:
        _draw_face(image, middle_x, middle_y, height / 100)
    soft = cv2.GaussianBlur(image, (0, 0), 1.2) + chance.normal(0, 5, image.shape)
    return np.asarray(soft.clip(0, 255), dtype=np.uint8)


def _draw_face(image: NDArray[np.uint8], middle_x: int, middle_y: int, unit: float) -> None:
    for x, y, half_width, half_height, colour in PARTS:
        middle = (round(middle_x + x * unit), round(middle_y + y * unit))
        axes = (max(1, round(half_width * unit)), max(1, round(half_height * unit)))
        cv2.ellipse(image, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
