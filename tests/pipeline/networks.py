"""Stages whose networks are arithmetic: a face for each red stripe, a vector of its colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from serve_app.config import PipelineConfig
from serve_app.imaging import ImageLimits
from serve_app.models.detector import DetectStage
from serve_app.models.extractor import ExtractStage
from serve_app.models.inference_yml import IDENTITY
from serve_app.pipeline.stages import FacePipeline
from serve_app.types import Detection, Image

SIDE = 20


class Tiles:
    """A face is a tile of 20 x 20 pixels that is not black; its score is 0.9."""

    sees = None

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        found = []
        for left in range(0, image.shape[1] - SIDE + 1, SIDE):
            if image[:SIDE, left : left + SIDE].any() and threshold < 0.9:
                found.append(Detection((left, 0, left + SIDE, SIDE), 0.9))
        return found


class MeanColour:
    """The embedding of a crop is its mean colour; a crop of 1, 1, 1 has none."""

    input_names = ("x",)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        means = inputs["x"].mean(axis=(2, 3))
        means[(means == 1).all(axis=1)] = 0
        return {"y": means}


def open_stages(config: PipelineConfig | None = None) -> FacePipeline:
    extractor = ExtractStage(MeanColour(), IDENTITY, model_id="colour@1", max_batch=4)
    detector = DetectStage(Tiles(), ImageLimits(), 100)
    return FacePipeline(config or PipelineConfig(), detector, extractor)


def tiles(*colours: tuple[int, int, int]) -> Image:
    """RGB, one tile a colour."""
    image = np.zeros((SIDE, SIDE * max(len(colours), 1), 3), dtype=np.uint8)
    for number, colour in enumerate(colours):
        image[:, number * SIDE : (number + 1) * SIDE] = colour
    return image


def bgr(image: Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[:, :, ::-1])


def png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", bgr(image))[1].tobytes())


RED, GREEN, BLUE, UNUSABLE = (200, 10, 10), (10, 200, 10), (10, 10, 200), (1, 1, 1)
