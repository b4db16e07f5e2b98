"""Large photographs made of small ones: each in a tile of its own, so that faces of a known person
have a known place and any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.types import Face

QUALITY = 90
GREY = 110


@dataclass(frozen=True, slots=True)
class Mosaic:
    """``content``: a JPEG, of ``columns`` tiles of ``tile`` x ``tile`` pixels a row; ``names`` of
    what they show, row by row."""

    content: bytes
    tile: int
    columns: int
    names: Sequence[str]

    def shown(self, faces: Sequence[Face]) -> dict[str, Face]:
        """By name, of the faces whose middle is in a tile the largest, as enrolment takes it."""
        found: dict[str, Face] = {}
        for face in sorted(faces, key=_area):
            x1, y1, x2, y2 = face.box
            column, row = int((x1 + x2) / 2 / self.tile), int((y1 + y2) / 2 / self.tile)
            number = row * self.columns + column
            if column < self.columns and number < len(self.names):
                found[self.names[number]] = face
        return found


def mosaics(
    root: Path, names: Sequence[str], width: int, height: int, tile: int
) -> Iterator[Mosaic]:
    """Pictures of ``width`` x ``height`` pixels that show every image under ``root`` once."""
    columns, rows = width // tile, height // tile
    for start in range(0, len(names), columns * rows):
        part = names[start : start + columns * rows]
        canvas = np.full((height, width, 3), GREY, dtype=np.uint8)
        for number, name in enumerate(part):
            top, left = (place * tile for place in divmod(number, columns))
            image = np.asarray(cv2.imread(str(root / name)), dtype=np.uint8)
            canvas[top : top + tile, left : left + tile] = resized(image, tile, tile)
        yield Mosaic(jpeg(canvas), tile, columns, part)


def resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    way = cv2.INTER_CUBIC if width > image.shape[1] else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), dtype=np.uint8)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Of BGR pixels."""
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return bytes(cv2.imencode(".jpg", image, options)[1].tobytes())


def _area(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return (x2 - x1) * (y2 - y1)
