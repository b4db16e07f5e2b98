"""YuNet: boxes with five landmarks, anchor-free, strides 8, 16 and 32.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023; output layout as OpenCV Zoo's
``face_detection_yunet_2023mar`` exports it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.models.runtime import Session
from serve_app.types import Detection, Image

STRIDES = (8, 16, 32)
NMS_IOU = 0.3
MAX_PROPOSALS = 5000


@dataclass(frozen=True, slots=True)
class DetectSize:
    """The long side of what the network sees, in pixels.

    Smaller images are enlarged to ``smallest`` (LFW: 99.02 to 99.25 % with 320), larger ones shrunk
    to ``largest``; in between the network runs on the image as it is.
    """

    smallest: int = 320
    largest: int = 640

    def scale(self, height: int, width: int) -> float:
        longest = max(height, width)
        return min(max(longest, self.smallest), self.largest) / longest


class YuNetDetector:
    """Detects faces on one image at a time: batching gains nothing on a CPU (2.2 ms alone, 2.8 ms
    each in a batch of eight; docs/benchmarks.md)."""

    def __init__(self, session: Session, size: DetectSize) -> None:
        self._session = session
        self._size = size

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        """Faces with a score above ``threshold``, best first, boxes inside the image."""
        height, width = image.shape[:2]
        tensor, scale = prepare(image, self._size)
        outputs = self._session.run({self._session.input_names[0]: tensor})
        boxes, scores, landmarks = decode(outputs, tensor.shape[3], threshold)
        kept = _suppress(boxes, scores)
        boxes = boxes[kept] / scale
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
        points = landmarks[kept] / scale
        return [
            Detection((float(b[0]), float(b[1]), float(b[2]), float(b[3])), float(s), p)
            for b, s, p in zip(boxes, scores[kept], points, strict=True)
            if b[2] - b[0] >= 1 and b[3] - b[1] >= 1
        ]


def prepare(image: Image, size: DetectSize) -> tuple[NDArray[np.float32], float]:
    """Network input (1, 3, H, W) float32 BGR 0..255 with H and W multiples of 32, and the scale
    from the image to it. Padding is black, at the right and the bottom."""
    height, width = image.shape[:2]
    scale = size.scale(height, width)
    if scale != 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        shrink = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, target, interpolation=shrink), dtype=np.uint8)
    height, width = image.shape[:2]
    tensor = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), dtype=np.float32)
    tensor[0, :, :height, :width] = image[:, :, ::-1].transpose(2, 0, 1)
    return tensor, scale


def decode(
    outputs: dict[str, NDArray[np.float32]], width: int, threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N, 4), scores (N,) and landmarks (N, 5, 2) in network pixels, before suppression."""
    parts = []
    for stride in STRIDES:
        cls, obj, bbox, kps = (outputs[f"{name}_{stride}"][0] for name in _HEADS)
        scores = np.sqrt(cls[:, 0].clip(0, 1) * obj[:, 0].clip(0, 1))
        (cells,) = np.nonzero(scores > threshold)
        anchors = np.stack([cells % (width // stride), cells // (width // stride)], axis=1)
        centres = (anchors + bbox[cells, :2]) * stride
        sizes = np.exp(bbox[cells, 2:]) * stride
        boxes = np.hstack([centres - sizes / 2, centres + sizes / 2])
        points = (kps[cells].reshape(-1, 5, 2) + anchors[:, None]) * stride
        parts.append((boxes, scores[cells], points))
    boxes, scores, points = (
        np.concatenate(part).astype(np.float32) for part in zip(*parts, strict=True)
    )
    best = np.argsort(-scores, kind="stable")[:MAX_PROPOSALS]
    return boxes[best], scores[best], points[best]


_HEADS = ("cls", "obj", "bbox", "kps")


def _suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices that survive non-maximum suppression, best first."""
    if not len(boxes):
        return np.zeros(0, dtype=np.intp)
    corners_and_sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), scores.tolist(), 0.0, NMS_IOU)
    return np.asarray(kept, dtype=np.intp).reshape(-1)
