"""Detectors in Paddle's form: suppression is inside the network, boxes come out in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import ModelError
from serve_app.models.canvas import Canvas
from serve_app.models.inference_yml import DetectorForm
from serve_app.models.runtime import Session, Tensors, memory_of
from serve_app.types import Detection, Image


class PaddleDetector:
    """The four official forms: what they take, ``form`` says; all answer alike.

    Boxes only, no landmarks: crops are not aligned. Images are taken whole: inputs and crops are
    bilinear samples of them, as PaddleX makes them.
    """

    sees = None

    def __init__(self, session: Session, form: DetectorForm) -> None:
        self._session = session
        self._form = form
        self._canvas = Canvas(memory_of(session))

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        """Faces with a score above ``threshold`` in the network's order, boxes inside the image.

        Raises ModelError where the network takes or gives something else.
        """
        height, width = image.shape[:2]
        tensors = self._form.prepare(image, self._canvas)
        unknown = set(self._session.input_names) - tensors.keys()
        if unknown:
            raise ModelError(
                f"{self._form.name}: the network takes {unknown.pop()}; a detector takes "
                f"{', '.join(sorted(tensors))}"
            )
        outputs = self._session.run({name: tensors[name] for name in self._session.input_names})
        return decode(_first_image(outputs, self._form.name), threshold, height, width)


def decode(rows: NDArray[Any], threshold: float, height: int, width: int) -> list[Detection]:
    """Detections from rows (N, 6): class, score, x1, y1, x2, y2 in pixels of the original image.

    PaddleX's rules: score above the threshold, class not negative, clipped to the image, empty
    boxes dropped.
    """
    detections = []
    for category, score, *box in rows:
        if category < 0 or not score > threshold:
            continue
        x1, x2 = (float(np.clip(value, 0, width)) for value in box[0::2])
        y1, y2 = (float(np.clip(value, 0, height)) for value in box[1::2])
        if int(x2) > int(x1) and int(y2) > int(y1):
            detections.append(Detection((x1, y1, x2, y2), float(score)))
    return detections


def _first_image(outputs: Tensors, name: str) -> NDArray[Any]:
    """Rows (N, 6) of the first image. The boxes of a batch lie one after the other, ``box_num`` (B)
    says how many are whose; without a face, some exports give one row of -1 and count none.

    Told apart by shape: exports name their outputs as they like.
    """
    boxes = [array for array in outputs.values() if array.ndim == 2 and array.shape[1] == 6]
    counts = [array for array in outputs.values() if array.ndim == 1 and array.dtype.kind == "i"]
    if len(boxes) != 1:
        shapes = ", ".join(str(array.shape) for array in outputs.values())
        raise ModelError(f"{name}: outputs have shapes {shapes}; boxes (N, 6) are expected")
    return boxes[0][: int(counts[0][0])] if counts else boxes[0]
