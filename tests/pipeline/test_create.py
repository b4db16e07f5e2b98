from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

import serve_app
from serve_app import create_pipeline
from serve_app.config import PipelineConfig, load_pipeline
from serve_app.errors import ConfigError, ModelError
from serve_app.pipeline.create import default_workers, with_options
from tests.conformance.replay import DATA, PIPELINE

LOADED = load_pipeline(str(PIPELINE))


def runtimes(config: PipelineConfig) -> tuple[str, str]:
    return config.detector.runtime, config.extractor.runtime


def test_what_is_not_said_stays_as_the_file_has_it() -> None:
    assert with_options(LOADED, None, None, None) == LOADED


def test_options_beside_the_file() -> None:
    assert with_options(LOADED, "cpu", None, None).device == "cpu"
    fast = with_options(LOADED, None, True, None)
    assert runtimes(fast) == ("fastest", "fastest")
    assert runtimes(with_options(fast, None, False, None)) == ("auto", "auto")
    assert runtimes(with_options(LOADED, None, True, "paddle")) == ("paddle", "paddle")


def test_a_runtime_that_the_file_names_is_kept() -> None:
    named = LOADED.detector.model_copy(update={"runtime": "paddle"})
    config = LOADED.model_copy(update={"detector": named})
    assert runtimes(with_options(config, None, True, None)) == ("paddle", "fastest")
    assert runtimes(with_options(config, None, False, None)) == ("paddle", "auto")


def test_workers_are_one_for_each_core() -> None:
    cores = len(os.sched_getaffinity(0))
    config = PipelineConfig(device="cpu")
    assert default_workers(config) == cores
    wide = config.extractor.model_copy(update={"threads": cores})
    assert default_workers(config.model_copy(update={"extractor": wide})) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pipeline": "face_recognitoin"}, "neither face_recognition nor"),
        ({"pipeline": "nowhere.yaml"}, "nowhere.yaml can't be read"),
        ({"device": "tpu"}, "device: tpu is not known"),
        ({"device": "gpu:7"}, "gpu:7"),
        ({"hpi_config": {"backend": "openvinno"}}, "runtime"),
        ({"hpi_params": {"backnd": "paddle"}}, "did you mean backend"),
        ({"workers": 0}, "workers is 0"),
        ({"config": {"rec_treshold": 0.4}}, "did you mean rec_threshold"),
    ],
)
def test_a_mistake_is_told_before_anything_is_loaded(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        create_pipeline(**options)  # type: ignore[arg-type]


def test_a_pipeline_may_be_given_as_its_content(tmp_path: Path) -> None:
    content = yaml.safe_load(PIPELINE.read_text())
    for module in content["SubModules"].values():
        module["model_dir"] = str(DATA / module["model_dir"])
    pipeline = create_pipeline(config=content, workers=1, cache_dir=tmp_path)
    index = pipeline.build_index([str(DATA / "images/demo0.png")], ["ID0"])
    assert (index.index_type, index.metric_type) == ("HNSW32", "IP")
    assert index.model_id is not None
    assert index.model_id.startswith("MobileFaceNet@")
    assert index.dimension == 128
    content["SubModules"]["Detection"]["model_dir"] = "nowhere"
    with pytest.raises(ModelError, match="nowhere"):
        create_pipeline(config=content, workers=1, cache_dir=tmp_path)


@pytest.mark.models
def test_the_embedded_default_needs_no_download() -> None:
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    portrait = cv2.cvtColor(np.asarray(data.astronaut()), cv2.COLOR_RGB2BGR)
    pipeline = create_pipeline(pipeline="face_recognition")
    index = pipeline.build_index(gallery_imgs=[portrait], gallery_label=["Eileen Collins"])
    (result,) = pipeline.predict(portrait[:, ::-1].copy(), index=index)
    assert result["boxes"][0]["labels"] == ["Eileen Collins"]
    assert result["boxes"][0]["rec_scores"][0] > 0.9


def test_importing_the_package_imports_no_network_library() -> None:
    code = (
        "import serve_app, sys; assert callable(serve_app.create_pipeline); "
        "sys.exit(' '.join({'paddle', 'ray', 'openvino', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert set(serve_app.__all__) == {"IndexData", "create_pipeline"}
    with pytest.raises(AttributeError):
        _ = serve_app.nothing
