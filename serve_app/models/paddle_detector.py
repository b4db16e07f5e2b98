"""Detectors in Paddle's form: suppression is inside the network, boxes come out in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.models.inference_yml import DetectorForm
from serve_app.models.runtime import Session
from serve_app.types import Detection, Image


class PaddleDetector:
    """BlazeFace's form, and by its ``inference.yml`` the other official ones.

    Boxes only, no landmarks: crops are not aligned.
    """

    def __init__(self, session: Session, form: DetectorForm) -> None:
        self._session = session
        self._form = form

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        """Faces with a score above ``threshold`` in the network's order, boxes inside the image."""
        height, width = image.shape[:2]
        tensors = self._form.prepare(image)
        outputs = self._session.run({name: tensors[name] for name in self._session.input_names})
        return decode(next(iter(outputs.values())), threshold, height, width)


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
