"""The extractor that a pipeline file names: its network, and the code around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from serve_app.config import PipelineConfig
from serve_app.models.extractor import ExtractStage
from serve_app.models.inference_yml import IDENTITY, Normalise, read_extractor_form
from serve_app.models.network import Network
from serve_app.models.precision.choice import PrecisionChoice
from serve_app.models.precision.precision import model_id
from serve_app.models.runtime import Session, Tensors
from serve_app.models.zoo.directories import local_directory, official_directory, paddle_network
from serve_app.models.zoo.packaged import packaged_network
from serve_app.models.zoo.table import OfficialModel, PackagedModel, find
from serve_app.types import CROP_SIZE

EXAMPLE_CROPS = 8

Extractor = tuple[Network, Callable[[Session, PrecisionChoice], ExtractStage]]
"""The network, and what makes the stage of it once a runtime has loaded it at a precision."""


def extractor(pipeline: PipelineConfig, cache_dir: Path) -> Extractor:
    """Raises ConfigError, ModelError."""
    config = pipeline.extractor
    directory = local_directory(config)
    if directory is None:
        model = find(config.model_name, "extractor")
        if isinstance(model, OfficialModel):
            directory = official_directory(model, cache_dir)
    if directory is not None:
        form = read_extractor_form(directory)
        normalise = form.normalise
        network = paddle_network(form.name, directory, lambda: _crops("x", normalise))
    else:
        assert isinstance(model, PackagedModel)
        normalise = IDENTITY  # SFace normalises inside the network: it takes RGB 0..255
        network = packaged_network(model, cache_dir, lambda: _crops("data", normalise))

    def stage(session: Session, choice: PrecisionChoice) -> ExtractStage:
        return ExtractStage(
            session,
            normalise,
            model_id=model_id(network, choice.precision),
            max_batch=config.batch_size,
            mirror=config.mirror,
            compatible_with=[model_id(network, other) for other in choice.mixable],
        )

    return network, stage


def _crops(name: str, normalise: Normalise) -> Tensors:
    shape = (EXAMPLE_CROPS, CROP_SIZE, CROP_SIZE, 3)
    crops = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    return {name: normalise.apply(crops)}
