"""From the pipeline file's names to loaded stages. Official models are fetched at first use, as
PaddleX does it: here, and so in the calling process and in the service's replicas alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from serve_app.config import ModelConfig, PipelineConfig
from serve_app.errors import ConfigError, ModelError
from serve_app.models.detector import FaceDetector
from serve_app.models.extractor import ExtractStage
from serve_app.models.inference_yml import read_detector_form, read_extractor_form
from serve_app.models.network import Network
from serve_app.models.precision.choice import choose_precision, open_at
from serve_app.models.runtime import Session
from serve_app.models.runtime.devices import choose_device
from serve_app.models.runtime.paddle_inference import paddle_files
from serve_app.models.selection.choice import RunOptions, open_network
from serve_app.models.zoo.detectors import detector
from serve_app.models.zoo.directories import local_directory, official_directory
from serve_app.models.zoo.extractors import extractor
from serve_app.models.zoo.table import OfficialModel, Task, find

Watch = Callable[[str, Session], Session]
"""Called with ``detector`` or ``extractor`` and its session: answers with what to use instead."""


def unwatched(_: str, session: Session) -> Session:
    return session


def open_detector(
    pipeline: PipelineConfig, cache_dir: Path, watch: Watch = unwatched
) -> FaceDetector:
    """The detector of the pipeline file. Raises ConfigError, ModelError."""
    network, made_of = detector(pipeline, cache_dir)
    session = open_network(network, _options(pipeline, pipeline.detector, cache_dir))
    return made_of(watch("detector", session))


def open_extractor(
    pipeline: PipelineConfig, cache_dir: Path, watch: Watch = unwatched
) -> ExtractStage:
    """The extractor of the pipeline file. Raises ConfigError, ModelError."""
    network, made_of = extractor(pipeline, cache_dir)
    model, options = pipeline.extractor, _options(pipeline, pipeline.extractor, cache_dir)
    options = replace(options, max_batch=model.batch_size)
    choice = choose_precision(network, model.precision, options, mirror=model.mirror)
    session = open_at(network, choice.precision, options)
    return made_of(watch("extractor", session), choice)


def networks(pipeline: PipelineConfig, cache_dir: Path) -> list[Network]:
    """The pipeline's networks, detector first, fetched and not loaded: enough to say at start what
    a replica could say only later. Raises ConfigError, ModelError."""
    return [detector(pipeline, cache_dir)[0], extractor(pipeline, cache_dir)[0]]


def check_directories(pipeline: PipelineConfig) -> None:
    """What can be said of the pipeline file's own model directories without loading a network: for
    the start of a service, whose replicas would say it later, each on its own.

    Raises ConfigError that names the key.
    """
    for key, model, read in (
        ("Detection.model_dir", pipeline.detector, read_detector_form),
        ("Recognition.model_dir", pipeline.extractor, read_extractor_form),
    ):
        try:
            directory = local_directory(model)
            if directory is not None:
                if not directory.is_dir():
                    raise ModelError(f"there is no directory {directory.name} here")
                read(directory)
                paddle_files(directory)
        except (ModelError, ConfigError) as error:
            raise ConfigError(f"{key}: {error}") from None


def fetch_missing(pipeline: PipelineConfig, cache_dir: Path) -> None:
    """Fetch the official models of the pipeline file that are not here, and nothing else: for a
    command that wants it done, with a bar on its terminal, before it starts processes that would
    do it unseen. Raises ConfigError, ModelError."""
    _fetch(pipeline.detector, "detector", cache_dir)
    _fetch(pipeline.extractor, "extractor", cache_dir)


def _fetch(config: ModelConfig, task: Task, cache_dir: Path) -> None:
    if config.model_dir is None:
        model = find(config.model_name, task)
        if isinstance(model, OfficialModel):
            official_directory(model, cache_dir)


def _options(pipeline: PipelineConfig, model: ModelConfig, cache_dir: Path) -> RunOptions:
    return RunOptions(model.runtime, choose_device(pipeline.device), model.threads, cache_dir)
