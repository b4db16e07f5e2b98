"""Stands for a pipeline and its extractor at several precisions: an image file holds its vector as
text, each precision has an error of its own, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np

from serve_app.config import PipelineConfig
from serve_app.errors import FaceServeError, InvalidImageError, ModelError, NoFaceError
from serve_app.models.extractor import ExtractStage
from serve_app.models.network import Network
from serve_app.models.precision.precision import Kind, Precision
from serve_app.models.runtime import Tensors
from serve_app.pipeline import FacePipeline
from serve_app.types import Crop, Crops, Embeddings

UNUSABLE = 99.0
"""A first value that no precision embeds."""


class ToyStage:
    """A crop's first row holds the vector; ``error`` of a vector is added to it."""

    def __init__(
        self, model_id: str, error: Callable[[np.ndarray], np.ndarray] = np.zeros_like
    ) -> None:
        self.model_id = model_id
        self.sizes: list[int] = []
        self._error = error

    def run(self, items: Sequence[Crops]) -> list[Embeddings | FaceServeError]:
        self.sizes.append(len(items))
        return [self._embed(item[0]) for item in items]

    def inputs(self, crops: Crops) -> Tensors:
        return {"x": crops}

    def _embed(self, crop: Crop) -> Embeddings | FaceServeError:
        vector = crop[0, :, 0].astype(np.float64)
        if vector[0] == UNUSABLE:
            return InvalidImageError("face can't be embedded: its crop is blank")
        vector = vector + self._error(vector)
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        return Embeddings(self.model_id, unit[np.newaxis])


class ToyPipeline:
    config = PipelineConfig()

    def __init__(self, stage: ToyStage) -> None:
        self.extractor = stage

    def crop_to_enrol(self, image: bytes) -> Crop:
        if not image:
            raise NoFaceError("no face found")
        values = [float(value) for value in image.split()]
        return np.array(values)[np.newaxis, :, np.newaxis]


class ToyExtractors:
    """``lower``: a stage of each kind, or why there is none."""

    network = Network("toy", Path("x.onnx"), "d" * 64, ("openvino",), dict)

    def __init__(self, lower: Mapping[Kind, ToyStage | str]) -> None:
        self.facts = {"cpu": "one", "threads": "1", "device": "cpu"}
        self.stage = ToyStage("toy@1")
        self.made_of: list[np.ndarray] = []
        self._lower = lower

    def plain(self) -> FacePipeline:
        return cast(FacePipeline, ToyPipeline(self.stage))

    def lower(self, kind: Kind, inputs: Callable[[], Tensors]) -> tuple[Precision, ExtractStage]:
        found = self._lower[kind]
        if isinstance(found, str):
            raise ModelError(found)
        digest = None
        if kind == "int8":
            digest = "1a2b3c4d"
            self.made_of.append(np.array(inputs()["x"]))
        return Precision(kind, digest), cast(ExtractStage, found)


def toy_stage(name: str) -> ExtractStage:
    return cast(ExtractStage, SimpleNamespace(model_id=name))
