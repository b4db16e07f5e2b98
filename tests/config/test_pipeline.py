from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.config import ModelConfig, PipelineConfig, check_served_index
from serve_app.errors import ConfigError


def test_the_default_works_without_a_download() -> None:
    config = PipelineConfig()
    assert (config.detector.model_name, config.extractor.model_name) == ("YuNet", "SFace")
    assert (config.detector.model_dir, config.extractor.model_dir) == (None, None)
    assert (config.det_threshold, config.rec_threshold, config.top_k) == (0.6, 0.4, 5)
    assert config.enrol.detect
    assert config.compat.threshold == "each"
    assert config.index is None


def test_is_frozen_to_the_ground() -> None:
    config = PipelineConfig()
    with pytest.raises(ValidationError):
        config.top_k = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config.enrol.detect = False  # type: ignore[misc]
    assert hash(config) == hash(PipelineConfig())


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 0},
        {"top_k": 1001},
        {"det_threshold": float("nan")},
        {"rec_threshold": float("inf")},
        {"max_faces": 0},
        {"device": "tpu"},
        {"detect_size": {"smallest": 31}},
        {"enrol": {"faces": "all"}},
        {"compat": {"threshold": "none"}},
        {"nonsense": 1},
    ],
)
def test_values_that_can_not_work_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PipelineConfig.model_validate(values)


@pytest.mark.parametrize(
    "values", [{"batch_size": 0}, {"threads": 0}, {"runtime": "tensorflow"}, {"modle_dir": "x"}]
)
def test_models_are_checked_as_strictly(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ModelConfig.model_validate({"model_name": "x"} | values)


def test_a_model_directory_is_a_path() -> None:
    config = ModelConfig.model_validate({"model_name": "x", "model_dir": "some/where"})
    assert config.model_dir == Path("some/where")


@pytest.mark.parametrize("index", ["./face_index", "a/b", "..", ""])
def test_a_service_takes_keys_only_as_its_default_gallery(index: str) -> None:
    config = PipelineConfig(index=index)  # in-process it is a directory
    with pytest.raises(ConfigError, match="index: a gallery key has 1 to 128"):
        check_served_index(config)
    check_served_index(PipelineConfig(index="staff"))
    check_served_index(PipelineConfig())
