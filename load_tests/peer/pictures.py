"""Pictures for the stand-ins: red cells are faces."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from tests.integration.pictures import CELL, gallery_image, person

WIDTH, HEIGHT = 640, 480


def scene(number: int) -> str:
    """Base64 of a JPEG of 640 x 480 with that person in it."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    picture[CELL : 2 * CELL, CELL : 2 * CELL] = person(number)
    return base64.b64encode(cv2.imencode(".jpg", picture)[1].tobytes()).decode("ascii")


def gallery_pairs(count: int) -> list[dict[str, str]]:
    return [
        {"image": gallery_image(number), "label": f"person {number}"} for number in range(count)
    ]
