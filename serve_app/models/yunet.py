"""YuNet: boxes with five landmarks, anchor-free, strides 8, 16 and 32.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", 2023; output layout as OpenCV Zoo's
``face_detection_yunet_2023mar`` exports it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serve_app.models.canvas import Canvas
from serve_app.models.dense import DetectSize, Proposals, detections, fit
from serve_app.models.runtime import Session, Tensors, memory_of
from serve_app.types import Detection, Image

STRIDES = (8, 16, 32)


class YuNetDetector:
    """Detects faces on one image at a time: batching gains nothing on a CPU (2.2 ms alone, 2.8 ms
    each in a batch of eight; docs/benchmarks.md)."""

    def __init__(self, session: Session, size: DetectSize) -> None:
        self._session = session
        self._size = size
        self.sees = size.largest
        self._canvas = Canvas(memory_of(session))

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        """Faces with a score above ``threshold``, best first, boxes inside the image."""
        tensor, scale = prepare(image, self._size, self._canvas)
        outputs = self._session.run({self._session.input_names[0]: tensor})
        proposals = decode(outputs, tensor.shape[3], threshold)
        return detections(proposals, scale, *image.shape[:2])


def prepare(image: Image, size: DetectSize, canvas: Canvas) -> tuple[NDArray[np.float32], float]:
    """``dense.fit`` with the channels that YuNet was trained on: BGR."""
    return fit(image, size, canvas, bgr=True)


def decode(outputs: Tensors, width: int, threshold: float) -> Proposals:
    """Cells with a score above ``threshold``, stride by stride; ``width``: of the input."""
    cls, obj, bbox, kps = (
        np.concatenate([outputs[f"{head}_{stride}"][0] for stride in STRIDES]) for head in _HEADS
    )
    scores = np.sqrt(cls[:, 0].clip(0, 1) * obj[:, 0].clip(0, 1))
    (rows,) = np.nonzero(scores > threshold)
    lengths = [outputs[f"cls_{stride}"].shape[1] for stride in STRIDES]
    ends = np.cumsum(lengths)
    level = np.searchsorted(ends, rows, side="right")
    strides = np.array(STRIDES)[level]
    cells, columns = rows - (ends - lengths)[level], width // strides
    anchors = np.stack([cells % columns, cells // columns], axis=1)
    scale = strides[:, None].astype(np.float32)
    centres = (anchors + bbox[rows, :2]) * scale
    sizes = np.exp(bbox[rows, 2:]) * scale
    boxes = np.hstack([centres - sizes / 2, centres + sizes / 2]).astype(np.float32)
    points = (kps[rows].reshape(-1, 5, 2) + anchors[:, None]) * scale[:, None]
    return Proposals(boxes, scores[rows], points.astype(np.float32))


_HEADS = ("cls", "obj", "bbox", "kps")
