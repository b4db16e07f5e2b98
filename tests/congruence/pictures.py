"""Pictures for both sets of networks: PaddleX's stand-ins, and real ones."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from tests.congruence.scenarios import Pictures
from tests.integration.pictures import gallery_image, scene


def stand_in_pictures() -> Pictures:
    people = {f"person {n}": base64.b64decode(gallery_image(n)) for n in range(8)}
    probes = [base64.b64decode(scene(n)) for n in range(10)]
    blank = np.full((320, 320, 3), 60, dtype=np.uint8)
    return Pictures(people, [*probes, _jpeg(blank)])


def real_pictures() -> Pictures:
    """One person, seen in many ways: labels tell which picture a probe is nearest to."""
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    portrait = cv2.cvtColor(np.asarray(data.astronaut()), cv2.COLOR_RGB2BGR)
    height, width = portrait.shape[:2]

    def seen(angle: float, scale: float, light: float) -> bytes:
        turn = cv2.getRotationMatrix2D((width / 2, height / 3), angle, scale)
        return _jpeg((cv2.warpAffine(portrait, turn, (width, height)) * light).astype(np.uint8))

    views = [(angle, scale, light) for angle in (-15, 0, 12) for scale in (0.8, 1.2)
             for light in (0.6, 1)]  # fmt: skip
    people = {f"view {number}": seen(*view) for number, view in enumerate(views[::2])}
    beside = np.hstack([portrait, portrait[:, ::-1]])
    probes = [*(seen(*view) for view in views[1::2]), _jpeg(beside)]
    return Pictures(people, probes)


def _jpeg(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())
