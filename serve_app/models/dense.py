"""What dense detectors (YuNet, CenterFace) share: an image of any size goes in, every cell of it is
a proposal, and the best of those that overlap stay. Owns nothing of either network's heads."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.models.canvas import Canvas
from serve_app.types import Detection, Image

NMS_IOU = 0.3
MAX_PROPOSALS = 5000
COARSEST_STRIDE = 32


@dataclass(frozen=True, slots=True)
class DetectSize:
    """The long side of what the network sees, in pixels.

    Smaller images are enlarged to ``smallest`` (YuNet on LFW: 99.02 to 99.25 % with 320), larger
    ones shrunk to ``largest``; in between the network runs on the image as it is.
    """

    smallest: int = 320
    largest: int = 640

    def scale(self, height: int, width: int) -> float:
        longest = max(height, width)
        return min(max(longest, self.smallest), self.largest) / longest


@dataclass(frozen=True, slots=True)
class Proposals:
    """Boxes (N, 4) as x1, y1, x2, y2, scores (N,) and landmarks (N, 5, 2), float32, in pixels of
    what the network saw."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]


def fit(
    image: Image, size: DetectSize, canvas: Canvas, *, bgr: bool
) -> tuple[NDArray[np.float32], float]:
    """Network input (1, 3, H, W) float32 0..255 with H and W multiples of 32, on ``canvas``, and
    the scale from the image to it. Padding is black, at the right and the bottom."""
    height, width = image.shape[:2]
    scale = size.scale(height, width)
    if scale != 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        shrink = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, target, interpolation=shrink), dtype=np.uint8)
    height, width = image.shape[:2]
    stride = COARSEST_STRIDE
    tensor = canvas.shaped(1, 3, -(-height // stride) * stride, -(-width // stride) * stride)
    tensor[:, :, height:] = 0
    tensor[:, :, :height, width:] = 0
    for channel, plane in enumerate(cv2.split(image)):  # faster than a transposed copy
        tensor[0, 2 - channel if bgr else channel, :height, :width] = plane
    return tensor, scale


def detections(proposals: Proposals, scale: float, height: int, width: int) -> list[Detection]:
    """The faces of an image of ``height`` x ``width`` pixels: of overlapping proposals the best,
    best first, scaled back, their boxes clipped to the image and those under a pixel dropped."""
    best = np.argsort(-proposals.scores, kind="stable")[:MAX_PROPOSALS]
    kept = best[_suppress(proposals.boxes[best], proposals.scores[best])]
    boxes = proposals.boxes[kept] / scale
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    landmarks = proposals.landmarks[kept] / scale
    return [
        Detection((float(b[0]), float(b[1]), float(b[2]), float(b[3])), float(s), p)
        for b, s, p in zip(boxes, proposals.scores[kept], landmarks, strict=True)
        if b[2] - b[0] >= 1 and b[3] - b[1] >= 1
    ]


def _suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices that survive non-maximum suppression, best first."""
    if not len(boxes):
        return np.zeros(0, dtype=np.intp)
    corners_and_sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), scores.tolist(), 0.0, NMS_IOU)
    return np.asarray(kept, dtype=np.intp).reshape(-1)
