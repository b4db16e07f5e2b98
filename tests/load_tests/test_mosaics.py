from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from load_tests.mosaics import mosaics
from serve_app.types import Face

NOTHING = np.zeros((112, 112, 3), dtype=np.uint8)


def test_every_image_has_a_tile_of_its_own(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(5)]
    for number, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), np.full((20, 20, 3), 40 * number, np.uint8))
    first, second = mosaics(tmp_path, names, 100, 90, 40)
    assert (first.names, second.names) == (names[:4], names[4:])
    pixels = cv2.imdecode(np.frombuffer(first.content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape == (90, 100, 3)
    middles = [int(pixels[y, x, 0]) for y in (20, 60) for x in (20, 60)]
    assert np.abs(np.subtract(middles, [0, 40, 80, 120])).max() < 3


def test_a_face_belongs_to_the_tile_of_its_middle_and_the_largest_stays(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), NOTHING)
    (mosaic,) = mosaics(tmp_path, ["a.png"] * 2, 100, 40, 40)
    large, small, beside = (
        Face(box, 0.9, NOTHING) for box in ((2, 2, 30, 30), (5, 5, 9, 9), (82, 0, 99, 30))
    )
    assert mosaic.shown([large, small, beside]) == {"a.png": large}
    assert mosaic.shown([beside]) == {}
