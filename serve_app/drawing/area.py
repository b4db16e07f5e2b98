"""Rectangles of pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serve_app.types import Box


class Area(NamedTuple):
    """Pixels of the image; ``right`` and ``bottom`` are not included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def clip(box: Box, frame: Area) -> Area | None:
    """The box's pixels that are inside the frame; None if there are none."""
    if not all(math.isfinite(value) for value in box):
        return None
    left, top = max(round(box[0]), frame.left), max(round(box[1]), frame.top)
    right, bottom = min(round(box[2]), frame.right), min(round(box[3]), frame.bottom)
    return Area(left, top, right, bottom) if left < right and top < bottom else None


def overlap(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 4) and (M, 4) areas: how many pixels of each of the first the second cover, (N,)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2).sum(axis=1), dtype=np.int64)
