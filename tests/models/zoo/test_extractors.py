"""Which network an extractor is; and both official forms against answers worked out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from serve_app.config import ModelConfig, PipelineConfig
from serve_app.errors import ConfigError, ModelError
from serve_app.models.zoo.extractors import EXAMPLE_CROPS, extractor
from serve_app.models.zoo.opening import open_extractor
from serve_app.models.zoo.table import SFACE
from serve_app.types import Crops
from tests.models.official_forms import EXTRACTORS, projection

CROPS: Crops = np.random.default_rng(6).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def named(name: str, directory: Path | None = None, **options: object) -> PipelineConfig:
    model = {"model_name": name, "model_dir": directory, **options}
    return PipelineConfig(extractor=ModelConfig.model_validate(model))


def expected(crops: Crops, dimension: int) -> NDArray[np.float64]:
    """The stand-in's embedding by CONTRACT 6: RGB / 255, minus .5, by .5, length one."""
    normal = (crops.astype(np.float64) / 255 - 0.5) / 0.5
    means = normal.reshape(-1, 14, 8, 14, 8, 3).mean(axis=(2, 4))
    vectors = means.transpose(0, 3, 1, 2).reshape(len(crops), -1) @ projection(dimension)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize("name", EXTRACTORS)
def test_known_answers(name: str, official_models: dict[str, Path], tmp_path: Path) -> None:
    stage = open_extractor(named(name, official_models[name], batch_size=2), tmp_path)
    assert stage.dimension == EXTRACTORS[name]
    assert stage.model_id.startswith(f"{name}@")
    answer = stage.extract(CROPS)
    np.testing.assert_allclose(answer.vectors, expected(CROPS, EXTRACTORS[name]), atol=1e-5)
    swapped = expected(CROPS[:, :, :, ::-1], EXTRACTORS[name])
    assert np.abs(answer.vectors - swapped).max() > 0.01  # the stand-in tells channels apart


@pytest.mark.parametrize("change", [{"mean": [0.4] * 3}, {"std": [0.4] * 3, "mean": [0.4] * 3}])
def test_normalisation_is_that_of_the_file(
    change: dict[str, object], official_models: dict[str, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(official_models["MobileFaceNet"], tmp_path / "copy"))
    content = yaml.safe_load((copy / "inference.yml").read_text(encoding="utf-8"))
    content["PreProcess"]["transform_ops"][1]["NormalizeImage"] |= change
    (copy / "inference.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    answer = open_extractor(named("mine", copy), tmp_path).extract(CROPS)
    assert np.abs(answer.vectors - expected(CROPS, 128)).max() > 0.01


def test_the_older_file_form_gives_the_same(legacy_models: dict[str, Path], tmp_path: Path) -> None:
    stage = open_extractor(named("MobileFaceNet", legacy_models["MobileFaceNet"]), tmp_path)
    np.testing.assert_allclose(stage.extract(CROPS).vectors, expected(CROPS, 128), atol=1e-5)


def test_a_directory(official_models: dict[str, Path], tmp_path: Path) -> None:
    network, _ = extractor(named("mine", official_models["ResNet50_face"]), tmp_path)
    assert (network.name, network.preferred) == ("ResNet50_face", ("paddle",))
    example = network.example()
    assert example["x"].shape == (EXAMPLE_CROPS, 3, 112, 112)
    assert -1.01 < example["x"].min() < -0.9
    assert list(tmp_path.iterdir()) == []


@pytest.mark.models
def test_the_embedded_one(cache_dir: Path) -> None:
    network, _ = extractor(PipelineConfig(), cache_dir)
    assert (network.name, network.digest) == ("SFace", SFACE.digest)
    assert network.example()["data"].max() == 255


@pytest.mark.parametrize(
    ("name", "message"),
    [("SFaces", "did you mean SFace?"), ("CenterFace", "CenterFace is no extractor; known are")],
)
def test_names_that_are_none(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        extractor(named(name), tmp_path)


def test_a_detectors_directory(official_models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no PreProcess: it is no extractor's"):
        extractor(named("mine", official_models["BlazeFace"]), tmp_path)
