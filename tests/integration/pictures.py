"""Pictures whose answers are known, for the stand-in models: red cells of 160 pixels are faces."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

CELL = 160


def person(number: int) -> NDArray[np.uint8]:
    """A cell (160, 160, 3) BGR that the stand-in detector takes for a face, unlike any other."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 70, (8, 8, 3), dtype=np.uint8)
    coarse[:, :, 2] = rng.integers(170, 256, (8, 8), dtype=np.uint8)
    large = cv2.resize(coarse, (CELL, CELL), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, dtype=np.uint8)


def gallery_image(number: int) -> str:
    """Base64 of the crop that the detector makes of ``scene(number)``."""
    return _png(person(number)[20:145, 10:130])


def scene(number: int, cells: int = 3) -> str:
    """Base64 of a picture of 480 x 480 (three by three cells) with that person in its second cell
    from above and from the left. With 20 cells a side it takes the stand-in most of a second."""
    picture = np.full((cells * CELL, cells * CELL, 3), 90, dtype=np.uint8)
    picture[CELL : 2 * CELL, CELL : 2 * CELL] = person(number)
    return _png(picture)


def _png(image: NDArray[np.uint8]) -> str:
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode("ascii")
