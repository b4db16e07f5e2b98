from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import ModelConfig, PipelineConfig, default_cache_dir
from serve_app.errors import ConfigError, ModelError
from serve_app.models.zoo.opening import open_detector, open_extractor
from tests.conformance.replay import DATA

MODELS = DATA / "models"


@pytest.mark.parametrize("name", ["YuNett", "SFace", "BlazeFace"])
def test_an_unknown_detector_says_what_there_is(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set model_dir to a directory.* Built in: YuNet"):
        open_detector(PipelineConfig(detector=ModelConfig(model_name=name)), tmp_path)


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
