"""From a detection to the 112 x 112 crop that the extractor embeds. Pure functions."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.types import CROP_SIZE, Box, Crop, Detection, Image, Landmarks

ARCFACE_TEMPLATE: Landmarks = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float32,
)
"""Where eyes, nose and mouth corners go in a 112 x 112 crop, left to right as the viewer sees them
(Deng et al., "ArcFace", 2019; insightface's ``arcface_dst``)."""


def crop_face(image: Image, detection: Detection) -> Crop:
    """The face of ``detection``: aligned if it has landmarks, else its box, stretched."""
    if detection.landmarks is not None:
        transform = similarity_transform(detection.landmarks, ARCFACE_TEMPLATE)
        if transform is not None:
            return _warp(image, transform)
    return crop_box(image, detection.box)


def crop_scale(detection: Detection) -> float:
    """Pixels of the aligned crop to one of the image; infinite where the crop is the box's."""
    if detection.landmarks is None:
        return math.inf
    transform = similarity_transform(detection.landmarks, ARCFACE_TEMPLATE)
    return math.inf if transform is None else _scale(transform)


def crop_box(image: Image, box: Box) -> Crop:
    """``image[int(y1):int(y2), int(x1):int(x2)]`` stretched to 112 x 112: PaddleX's crop.

    The box is inside the image and holds at least one pixel.
    """
    x1, y1, x2, y2 = (int(v) for v in box)
    return resize(image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)])


def resize(image: Image) -> Crop:
    """The whole image stretched to 112 x 112, bilinear as the official models were exported."""
    stretched = cv2.resize(image, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(stretched, dtype=np.uint8)


def similarity_transform(source: Landmarks, target: Landmarks) -> NDArray[np.float64] | None:
    """The (2, 3) rotation, uniform scale and shift with the least squared error, or None if all
    source points coincide.

    With points as complex numbers the least-squares problem ``target = a * source + b`` has a
    closed form; it equals Umeyama (1991) wherever that has no reflection, which a face never needs.
    """
    z, w = (points.astype(np.float64) @ np.array([1, 1j]) for points in (source, target))
    z_mean, w_mean = z.mean(), w.mean()
    spread = float(np.sum(np.abs(z - z_mean) ** 2))
    if not np.isfinite(spread) or spread < 1e-6:
        return None
    a = np.sum(np.conj(z - z_mean) * (w - w_mean)) / spread
    if abs(a) < 1e-9:
        return None
    b = w_mean - a * z_mean
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _warp(image: Image, transform: NDArray[np.float64]) -> Crop:
    """Warp to the crop; a face much larger than the crop is first shrunk by area averaging, as
    bilinear sampling at less than half size skips pixels (aliasing)."""
    scale = _scale(transform)
    if scale < 0.5:
        image, transform = _shrink(image, transform, 2 * scale)
    warped = cv2.warpAffine(image, transform, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, dtype=np.uint8)


def _scale(transform: NDArray[np.float64]) -> float:
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def _shrink(
    image: Image, transform: NDArray[np.float64], factor: float
) -> tuple[Image, NDArray[np.float64]]:
    """The part of the image under the crop, scaled by ``factor``, and the transform from there."""
    corners = np.array([[0, 0], [CROP_SIZE, 0], [0, CROP_SIZE], [CROP_SIZE, CROP_SIZE]])
    inverse = cv2.invertAffineTransform(transform)
    region = corners @ inverse[:, :2].T + inverse[:, 2]
    height, width = image.shape[:2]
    x1, y1 = np.clip(np.floor(region.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    x2, y2 = np.clip(np.ceil(region.max(axis=0)).astype(int) + 1, (x1 + 1, y1 + 1), (width, height))
    part = image[y1:y2, x1:x2]
    new_width, new_height = (max(1, round(side * factor)) for side in (x2 - x1, y2 - y1))
    small = cv2.resize(part, (new_width, new_height), interpolation=cv2.INTER_AREA)
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ np.array([x1, y1], dtype=np.float64)
    # Pixel centres: x_part = (x_small + 0.5) / fx - 0.5
    fx, fy = new_width / (x2 - x1), new_height / (y2 - y1)
    centre = np.array([0.5 / fx - 0.5, 0.5 / fy - 0.5])
    result = np.hstack([moved[:, :2] / np.array([fx, fy]), moved[:, 2:]])
    result[:, 2] += moved[:, :2] @ centre
    return np.asarray(small, dtype=np.uint8), result
