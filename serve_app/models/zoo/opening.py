"""From the pipeline file's names to loaded stages: weights, their form and the code around them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from serve_app.config import ModelConfig, PipelineConfig
from serve_app.config.device import Device, parse_device
from serve_app.errors import ConfigError
from serve_app.models.conversion.dequantise import dequantised
from serve_app.models.detector import FaceDetector
from serve_app.models.extractor import ExtractStage
from serve_app.models.inference_yml import (
    IDENTITY,
    Normalise,
    read_detector_form,
    read_extractor_form,
)
from serve_app.models.network import Network
from serve_app.models.paddle_detector import PaddleDetector
from serve_app.models.runtime import Tensors
from serve_app.models.runtime.paddle_inference import paddle_files
from serve_app.models.selection.choice import RunOptions, open_network
from serve_app.models.yunet import DetectSize, YuNetDetector
from serve_app.models.yunet import prepare as prepare_yunet
from serve_app.models.zoo.packaged import packaged_file
from serve_app.models.zoo.table import PACKAGED, PackagedModel
from serve_app.types import CROP_SIZE, Image

EXAMPLE_CROPS = 8


def open_detector(pipeline: PipelineConfig, cache_dir: Path) -> FaceDetector:
    """The detector of the pipeline file. Raises ConfigError, ModelError."""
    config, options = pipeline.detector, _options(pipeline, pipeline.detector, cache_dir)
    size = DetectSize(pipeline.detect_size.smallest, pipeline.detect_size.largest)
    if config.model_dir is not None:
        form = read_detector_form(config.model_dir)
        network = _local_network(form.name, config.model_dir, lambda: form.prepare(_picture()))
        return PaddleDetector(open_network(network, options), form)
    model = _packaged(config.model_name, "detector")
    network = _packaged_network(
        model, cache_dir, lambda: {"input": prepare_yunet(_picture(), size)[0]}
    )
    return YuNetDetector(open_network(network, options), size)


def open_extractor(pipeline: PipelineConfig, cache_dir: Path) -> ExtractStage:
    """The extractor of the pipeline file. Raises ConfigError, ModelError."""
    config, options = pipeline.extractor, _options(pipeline, pipeline.extractor, cache_dir)
    if config.model_dir is not None:
        form = read_extractor_form(config.model_dir)
        normalise = form.normalise
        network = _local_network(form.name, config.model_dir, lambda: _crops("x", normalise))
    else:
        model = _packaged(config.model_name, "extractor")
        # SFace normalises inside the network: it takes RGB 0..255.
        normalise = IDENTITY
        network = _packaged_network(model, cache_dir, lambda: _crops("data", normalise))
    return ExtractStage(
        open_network(network, options),
        normalise,
        model_id=f"{network.name}@{network.digest[:12]}",
        max_batch=config.batch_size,
        mirror=config.mirror,
    )


def _options(pipeline: PipelineConfig, model: ModelConfig, cache_dir: Path) -> RunOptions:
    device = Device() if pipeline.device is None else parse_device(pipeline.device)
    return RunOptions(model.runtime, device, model.threads, cache_dir)


def _packaged(name: str, task: str) -> PackagedModel:
    model = PACKAGED.get(name)
    if model is None or model.task != task:
        known = ", ".join(m.name for m in PACKAGED.values() if m.task == task)
        raise ConfigError(
            f"model_name: {task} {name} needs its files: set model_dir to a directory that holds "
            f"inference.json, inference.pdiparams and inference.yml. Built in: {known}"
        )
    return model


def _packaged_network(
    model: PackagedModel, cache_dir: Path, example: Callable[[], Tensors]
) -> Network:
    path = dequantised(packaged_file(model), model.digest, cache_dir)
    return Network(model.name, path, model.digest, model.runtimes, example)


def _local_network(name: str, directory: Path, example: Callable[[], Tensors]) -> Network:
    digest = hashlib.sha256()
    for file in paddle_files(directory):
        digest.update(file.read_bytes())
    return Network(name, directory, digest.hexdigest(), ("paddle",), example)


def _picture() -> Image:
    """Something to measure with: what is in it makes no difference to the time."""
    return np.random.default_rng(1).integers(0, 256, (320, 320, 3)).astype(np.uint8)


def _crops(name: str, normalise: Normalise) -> Tensors:
    shape = (EXAMPLE_CROPS, CROP_SIZE, CROP_SIZE, 3)
    crops = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    return {name: normalise.apply(crops)}
