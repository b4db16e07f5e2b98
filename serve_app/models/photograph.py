"""An image at the size that detection needs, and again for crops that need it sharper.

Owns how far a JPEG is reduced while it is decoded, and the way between its pixels and the
original's. libjpeg-turbo gives 1/2, 1/4 and 1/8 by transforming fewer coefficients of each block
(docs/decisions/0025). Knows no detector and no stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from serve_app.imaging import ImageLimits, decode_pixels, is_jpeg, read_size, reduced
from serve_app.models.alignment import crop_face, crop_scale
from serve_app.types import Box, Crop, Detection, Image

REDUCTIONS = (8, 4, 2)
APP1 = b"\xff\xe1"
"""The marker of EXIF; coded pixels never hold it."""


@dataclass(frozen=True, slots=True)
class Margins:
    """How much larger a reduced image stays than what is made of it, as ratios of lengths:
    ``detect`` than what the detector sees, ``crop`` than a crop."""

    detect: float
    crop: float


MEASURED = Margins(detect=3, crop=1.25)
"""The least with which accuracy stays (docs/decisions/0025)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image file within ``limits``; ``size``: width and height as its header says."""

    data: bytes = field(repr=False)
    size: tuple[int, int]
    limits: ImageLimits

    def at(self, reduction: int) -> Photograph:
        """Raises InvalidImageError."""
        pixels = decode_pixels(self.data, self.size, self.limits, reduction)
        height, width = pixels.shape[:2]
        if (width, height) in (self.size, self.size[::-1]):
            return Photograph(pixels, (width, height))
        turned = (width, height) != reduced(self.size, reduction)
        return Photograph(pixels, self.size[::-1] if turned else self.size, reduction, self)


@dataclass(frozen=True, slots=True)
class Photograph:
    """Pixels (H, W, 3) uint8 RGB, upright, and ``size``, width and height of the original. Each
    pixel stands for ``reduction`` x ``reduction`` of its, the last ones for what is left of it."""

    pixels: Image
    size: tuple[int, int]
    reduction: int = 1
    encoded: Encoded | None = None

    def in_original(self, detections: Sequence[Detection]) -> list[Detection]:
        """What was detected on ``pixels``, in pixels of the original, boxes inside it."""
        if self.reduction == 1:
            return list(detections)
        factor = self.reduction
        return [
            replace(
                one,
                box=_inside(one.box, factor, self.size),
                landmarks=None if one.landmarks is None else one.landmarks * factor,
            )
            for one in detections
        ]

    def sharp_for(self, detections: Sequence[Detection], margin: float) -> Photograph:
        """Itself, or the image with so little reduction that the crops of ``detections`` (in pixels
        of the original) are made of ``margin`` times their pixels a side; crops of a box alone are
        bilinear samples of the original. Raises InvalidImageError."""
        if self.encoded is None or not detections:
            return self
        most = 1 / (margin * max(crop_scale(one) for one in detections))
        reduction = next((each for each in REDUCTIONS if each <= most), 1)
        return self if reduction >= self.reduction else self.encoded.at(reduction)

    def crop(self, detection: Detection) -> Crop:
        """The face of a detection in pixels of the original."""
        if self.reduction == 1 or detection.landmarks is None:
            return crop_face(self.pixels, detection)
        # Pixel centres: the first of a pair lies at -0.25 of the pixel that stands for both.
        landmarks = ((detection.landmarks + 0.5) / self.reduction - 0.5).astype(np.float32)
        return crop_face(self.pixels, replace(detection, landmarks=landmarks))


def of_pixels(pixels: Image) -> Photograph:
    return Photograph(pixels, (pixels.shape[1], pixels.shape[0]))


def of_file(data: bytes, limits: ImageLimits, least: float | None) -> Photograph:
    """A JPEG as much reduced as leaves ``least`` pixels on its long side, anything else and with
    None whole. Raises TooLargeError before decoding, InvalidImageError."""
    size = read_size(data, limits)
    reduction = 1
    if least is not None and is_jpeg(data):
        reduction = reduction_to(size, least, may_turn=APP1 in data)
    return Encoded(data, size, limits).at(reduction)


def reduction_to(size: tuple[int, int], least: float, *, may_turn: bool) -> int:
    """1, 2, 4 or 8. ``may_turn``: of an image that EXIF may turn after it was reduced only what
    divides its sides: the pixels that stand for fewer may then lie at any edge."""
    for reduction in REDUCTIONS:
        divides = size[0] % reduction == size[1] % reduction == 0
        if max(reduced(size, reduction)) >= least and (divides or not may_turn):
            return reduction
    return 1


def _inside(box: Box, factor: int, size: tuple[int, int]) -> Box:
    (x1, y1, x2, y2), (width, height) = (factor * side for side in box), size
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
