from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import ModelConfig, PipelineConfig, default_cache_dir, load_pipeline
from serve_app.config.device import Device, parse_device
from serve_app.errors import ConfigError, ModelError
from serve_app.models.network import Network
from serve_app.models.precision import half
from serve_app.models.precision.precision import FP16, Precision
from serve_app.models.runtime import Session
from serve_app.models.selection.choice import RunOptions, open_network
from serve_app.models.zoo import opening
from serve_app.models.zoo.opening import (
    check_directories,
    fetch_missing,
    networks,
    open_detector,
    open_extractor,
)
from serve_app.models.zoo.origin import VARIABLE
from serve_app.models.zoo.table import find
from tests.conformance.replay import DATA
from tests.models.official_forms import COLOURS
from tests.models.zoo.archive_server import ArchiveServer, Reply
from tests.models.zoo.archives import archive_of

MODELS = DATA / "models"
CONFIGS = Path(__file__).parents[3] / "configs" / "pipeline"
TUTORIAL = PipelineConfig(
    detector=ModelConfig(model_name="BlazeFace"),
    extractor=ModelConfig(model_name="MobileFaceNet"),
)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    config = ModelConfig(model_name="x", model_dir=tmp_path / "none")
    with pytest.raises(ModelError, match="none has no inference"):
        open_extractor(PipelineConfig(extractor=config), tmp_path)


@pytest.mark.models
def test_the_embedded_extractor() -> None:
    stage = open_extractor(PipelineConfig(), default_cache_dir(os.environ))
    assert (stage.model_id, stage.dimension) == ("SFace@fb143eea0783", 128)


def test_a_directory_gives_its_own_model_id(tmp_path: Path) -> None:
    config = ModelConfig(model_name="ignored", model_dir=MODELS / "toy_rec")
    stage = open_extractor(PipelineConfig(extractor=config), tmp_path)
    name, _, digest = stage.model_id.partition("@")
    assert (name, len(digest), stage.dimension) == ("MobileFaceNet", 12, 128)
    mirrored = open_extractor(
        PipelineConfig(extractor=config.model_copy(update={"mirror": True})), tmp_path
    )
    assert mirrored.model_id == f"{stage.model_id}+mirror"


def test_the_stand_in_detector_finds_red_cells(tmp_path: Path) -> None:
    config = ModelConfig(model_name="ignored", model_dir=MODELS / "toy_det")
    detector = open_detector(PipelineConfig(detector=config), tmp_path)
    image = np.full((320, 480, 3), 90, dtype=np.uint8)
    image[160:320, 320:480] = (240, 10, 20)  # red, in RGB
    (found,) = detector.detect(image, 0.6)
    assert found.box == (330.5, 180.25, 450.5, 305.75)


@pytest.fixture
def mirror(
    server: ArchiveServer, official_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> ArchiveServer:
    """Holds the tutorial's two models: the detector is asked for first."""
    monkeypatch.setenv(VARIABLE, server.url)
    server.replies = [
        Reply(archive_of(official_models[name])) for name in ("BlazeFace", "MobileFaceNet")
    ]
    return server


def test_official_models_are_fetched_at_first_use(mirror: ArchiveServer, tmp_path: Path) -> None:
    detector = open_detector(TUTORIAL, tmp_path)
    image = np.full((200, 300, 3), 90, dtype=np.uint8)
    image[20:120, 40:120] = COLOURS[0]
    (found,) = detector.detect(image, 0.6)
    assert found.box == pytest.approx((40, 20, 120, 120), abs=0.01)
    stage = open_extractor(TUTORIAL, tmp_path)
    assert stage.dimension == 128
    assert stage.model_id.startswith("MobileFaceNet@")
    assert mirror.paths == ["/BlazeFace_infer.tar", "/MobileFaceNet_infer.tar"]
    open_detector(TUTORIAL, tmp_path)
    assert len(mirror.paths) == 2


def test_networks_without_a_runtime(mirror: ArchiveServer, tmp_path: Path) -> None:
    detector, extractor = networks(TUTORIAL, tmp_path)
    assert (detector.name, extractor.name) == ("BlazeFace", "MobileFaceNet")
    assert detector.path.is_relative_to(tmp_path)


def test_what_is_missing_is_fetched_ahead(mirror: ArchiveServer, tmp_path: Path) -> None:
    fetch_missing(TUTORIAL, tmp_path)
    assert len(mirror.paths) == 2
    fetch_missing(TUTORIAL, tmp_path)
    fetch_missing(PipelineConfig(), tmp_path)
    local = ModelConfig(model_name="BlazeFace", model_dir=MODELS / "toy_det")
    fetch_missing(PipelineConfig(detector=local), tmp_path / "elsewhere")
    assert len(mirror.paths) == 2
    assert not (tmp_path / "elsewhere").exists()


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:1")
    for attempt in (fetch_missing, open_detector, networks):
        with pytest.raises(ModelError, match=r"BlazeFace can't be downloaded: .* set model_dir"):
            attempt(TUTORIAL, tmp_path)


def test_nothing_is_fetched_or_loaded_by_an_import() -> None:
    code = (
        "import sys, serve_app.models.zoo.opening;"
        "sys.exit(any(name in sys.modules for name in ('paddle', 'openvino', 'onnxruntime')))"
    )
    environ = {"PATH": os.environ["PATH"], VARIABLE: "no origin://at all"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environ)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.name)
def test_the_pipeline_files_name_known_models(file: Path) -> None:
    pipeline = load_pipeline(str(file))
    assert find(pipeline.detector.model_name, "detector")
    assert find(pipeline.extractor.model_name, "extractor")


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("tutorial", ("BlazeFace", "MobileFaceNet")),
        ("paddlex", ("PP-YOLOE_plus-S_face", "ResNet50_face")),
        ("accurate", ("CenterFace", "SFace")),
        ("gpu", ("YuNet", "SFace")),
    ],
)
def test_which_models_the_files_name(file: str, names: tuple[str, str]) -> None:
    pipeline = load_pipeline(str(CONFIGS / f"{file}.yaml"))
    assert (pipeline.detector.model_name, pipeline.extractor.model_name) == names


@pytest.mark.models
def test_the_gpus_file_asks_tensorrt_for_fp16_and_its_largest_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU that a stand-in says is there; a session on the CPU takes its place."""
    pipeline = load_pipeline(str(CONFIGS / "gpu.yaml"))
    given: list[tuple[Precision, RunOptions]] = []

    def open_at(network: Network, precision: Precision, options: RunOptions) -> Session:
        given.append((precision, options))
        return open_network(network, replace(options, runtime="auto", device=Device()))

    monkeypatch.setattr(opening, "choose_device", parse_device)
    monkeypatch.setattr(half, "runs_on", lambda name, _: name == "onnxruntime-tensorrt")
    monkeypatch.setattr(opening, "open_at", open_at)
    stage = open_extractor(pipeline, tmp_path)
    assert stage.model_id == "SFace@fb143eea0783+fp16"
    options = RunOptions("onnxruntime-tensorrt", Device("gpu", 0), 1, tmp_path, max_batch=64)
    assert given == [(FP16, options)]
    assert (pipeline.detector.runtime, pipeline.detector.precision) == ("onnxruntime", "auto")


# --- before anything starts ---


def test_good_directories_and_none_are_fine() -> None:
    check_directories(PipelineConfig())
    check_directories(
        PipelineConfig(
            detector=ModelConfig(model_name="toy_det", model_dir=MODELS / "toy_det"),
            extractor=ModelConfig(model_name="toy_rec", model_dir=MODELS / "toy_rec"),
        )
    )


@pytest.mark.parametrize("stage", ["detector", "extractor"])
@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("everything", "there is no directory here_not here"),
        ("inference.yml", "model directory here_not has no inference.yml"),
        ("inference.pdiparams", "model directory here_not needs inference.pdiparams"),
    ],
)
def test_a_wrong_directory_is_named_with_its_key(
    tmp_path: Path, stage: str, lacks: str, message: str
) -> None:
    directory = tmp_path / "here_not"
    kind = {"detector": "toy_det", "extractor": "toy_rec"}[stage]
    if lacks != "everything":
        shutil.copytree(MODELS / kind, directory)
        (directory / lacks).unlink()
    model = ModelConfig(model_name="mine", model_dir=directory)
    with pytest.raises(ConfigError) as refused:
        check_directories(PipelineConfig.model_validate({stage: model}))
    key = {"detector": "Detection.model_dir", "extractor": "Recognition.model_dir"}[stage]
    assert str(refused.value).startswith(f"{key}: {message}")
    assert str(tmp_path) not in str(refused.value)


def test_the_other_stages_directory(tmp_path: Path) -> None:
    model = ModelConfig(model_name="mine", model_dir=MODELS / "toy_rec")
    with pytest.raises(ConfigError, match=r"^Detection\.model_dir: .* is no detector's"):
        check_directories(PipelineConfig(detector=model))
