"""The detector that a pipeline file names: its network, and the code around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from serve_app.config import PipelineConfig
from serve_app.models import centerface, yunet
from serve_app.models.canvas import Canvas
from serve_app.models.centerface import CenterFaceDetector
from serve_app.models.dense import DetectSize
from serve_app.models.detector import FaceDetector
from serve_app.models.inference_yml import read_detector_form
from serve_app.models.network import Network
from serve_app.models.paddle_detector import PaddleDetector
from serve_app.models.runtime import Session
from serve_app.models.selection.picture import picture
from serve_app.models.zoo.directories import local_directory, official_directory, paddle_network
from serve_app.models.zoo.packaged import packaged_network
from serve_app.models.zoo.table import CENTERFACE, OfficialModel, PackagedModel, find

Detector = tuple[Network, Callable[[Session], FaceDetector]]
"""The network, and what makes a detector of it once a runtime has loaded it."""


def detector(pipeline: PipelineConfig, cache_dir: Path) -> Detector:
    """Raises ConfigError, ModelError."""
    directory = local_directory(pipeline.detector)
    if directory is not None:
        return _in_paddles_form(directory)
    model = find(pipeline.detector.model_name, "detector")
    if isinstance(model, OfficialModel):
        return _in_paddles_form(official_directory(model, cache_dir))
    assert isinstance(model, PackagedModel)
    size = DetectSize(pipeline.detect_size.smallest, pipeline.detect_size.largest)
    return _dense(model, size, cache_dir)


def _in_paddles_form(directory: Path) -> Detector:
    form = read_detector_form(directory)
    network = paddle_network(form.name, directory, lambda: form.prepare(picture()))
    return network, lambda session: PaddleDetector(session, form)


def _dense(model: PackagedModel, size: DetectSize, cache_dir: Path) -> Detector:
    if model is CENTERFACE:
        network = packaged_network(
            model, cache_dir, lambda: {"input.1": centerface.prepare(picture(), size, Canvas())[0]}
        )
        return network, lambda session: CenterFaceDetector(session, size)
    network = packaged_network(
        model, cache_dir, lambda: {"input": yunet.prepare(picture(), size, Canvas())[0]}
    )
    return network, lambda session: yunet.YuNetDetector(session, size)
