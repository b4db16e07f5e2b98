"""CenterFace: boxes with five landmarks, anchor-free, one stride of 4.

Xu, Yan, Yang, Yan, Lin, Xu: "CenterFace: Joint Face Detection and Alignment Using Face as Point",
2019 (arXiv 1911.03599): a face is a peak of a heatmap; its size, the peak's sub-cell offset and its
landmarks are regressed at that cell. Output layout as its authors' ``centerface_bnmerged.onnx`` has
it: rows before columns, so height before width and y before x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from serve_app.models.canvas import Canvas
from serve_app.models.dense import DetectSize, Proposals, detections, fit
from serve_app.models.runtime import Session, Tensors, memory_of
from serve_app.types import Detection, Image

STRIDE = 4
HEATMAP, SIZE, OFFSET, LANDMARKS = "537", "538", "539", "540"
"""The file's own names of its outputs: (1, 1 | 2 | 2 | 10, H / 4, W / 4)."""


class CenterFaceDetector:
    """Slower than YuNet and more accurate (docs/models.md). One image at a time."""

    def __init__(self, session: Session, size: DetectSize) -> None:
        self._session = session
        self._size = size
        self.sees = size.largest
        self._canvas = Canvas(memory_of(session))

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        """Faces with a score above ``threshold``, best first, boxes inside the image."""
        tensor, scale = prepare(image, self._size, self._canvas)
        outputs = self._session.run({self._session.input_names[0]: tensor})
        return detections(decode(outputs, threshold), scale, *image.shape[:2])


def prepare(image: Image, size: DetectSize, canvas: Canvas) -> tuple[NDArray[np.float32], float]:
    """``dense.fit`` with the channels that CenterFace was trained on: RGB."""
    return fit(image, size, canvas, bgr=False)


def decode(outputs: Tensors, threshold: float) -> Proposals:
    """Cells whose heat is above ``threshold``.

    Size is the logarithm of height and width in cells; the offset counts from the cell's middle;
    landmarks are in units of the box, from its upper left corner, in ``types.Landmarks``' order.
    """
    heat, size, offset, points = (outputs[n][0] for n in (HEATMAP, SIZE, OFFSET, LANDMARKS))
    rows, columns = np.nonzero(heat[0] > threshold)
    cells = np.stack([rows, columns], axis=1)
    centres = (cells + 0.5 + offset[:, rows, columns].T) * STRIDE
    sizes = np.exp(size[:, rows, columns].T) * STRIDE
    corners = centres - sizes / 2
    landmarks = points[:, rows, columns].T.reshape(-1, 5, 2) * sizes[:, None] + corners[:, None]
    boxes = np.hstack([corners[:, ::-1], (corners + sizes)[:, ::-1]])
    return Proposals(
        boxes.astype(np.float32),
        heat[0, rows, columns].astype(np.float32),
        np.ascontiguousarray(landmarks[:, :, ::-1], dtype=np.float32),
    )
