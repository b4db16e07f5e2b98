"""Both of PaddleX's forms are read, and no misspelt key passes unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.config import PipelineConfig, load_pipeline, parse_pipeline
from serve_app.config.pipeline_file import pipeline_mistakes
from serve_app.errors import ConfigError

ROOT = Path(__file__).parents[2]
BASE = Path("base")

TUTORIAL = """
Global:
  mode: predict
Pipeline:
  device: "gpu:0"
  det_model: "BlazeFace"
  rec_model: "MobileFaceNet"
  det_batch_size: 1
  rec_batch_size: 2
  device: cpu
  index: None
  score_thres: 0.3
  return_k: 7
"""

CURRENT = """
pipeline_name: face_recognition
index: None
det_threshold: 0.7
rec_threshold: 0.3
rec_topk: 7
SubModules:
  Detection:
    module_name: face_detection
    model_name: PP-YOLOE_plus-S_face
    model_dir: null
    batch_size: 1
  Recognition:
    module_name: face_feature
    model_name: ResNet50_face
    model_dir: None
    batch_size: 2
"""


def parse(text: str, base: Path = BASE) -> PipelineConfig:
    return parse_pipeline(yaml.safe_load(text), base=base)


def test_the_tutorials_form() -> None:
    config = parse(TUTORIAL)
    assert (config.detector.model_name, config.detector.batch_size) == ("BlazeFace", 1)
    assert (config.extractor.model_name, config.extractor.batch_size) == ("MobileFaceNet", 2)
    assert (config.rec_threshold, config.top_k, config.index) == (0.3, 7, None)
    assert config.device == "cpu", "a key given twice: the last one counts"


def test_the_current_form() -> None:
    config = parse(CURRENT)
    assert (config.detector.model_name, config.detector.batch_size) == ("PP-YOLOE_plus-S_face", 1)
    assert (config.extractor.model_name, config.extractor.batch_size) == ("ResNet50_face", 2)
    assert (config.det_threshold, config.rec_threshold, config.top_k) == (0.7, 0.3, 7)
    assert (config.detector.model_dir, config.extractor.model_dir) == (None, None)
    assert config.index is None


@pytest.mark.parametrize("text", ["", "{}", "Pipeline:", "SubModules:", "Pipeline: {}"])
def test_what_is_left_out_has_its_default(text: str) -> None:
    assert parse(text) == PipelineConfig()


def test_our_own_keys_mean_the_same_in_both_forms() -> None:
    ours: dict[str, Any] = {
        "index": "staff",
        "enrol": {"detect": False, "faces": "single"},
        "compat": {"threshold": "top1"},
        "max_faces": 3,
        "detect_size": {"smallest": 64, "largest": 128},
    }
    current = parse_pipeline(ours, base=BASE)
    assert parse_pipeline({"Pipeline": ours}, base=BASE) == current
    assert (current.index, current.max_faces, current.detect_size.largest) == ("staff", 3, 128)
    assert (current.enrol.faces, current.compat.threshold) == ("single", "top1")


def test_runtime_and_mirror() -> None:
    tutorial = parse("Pipeline: {runtime: openvino, mirror: true}")
    assert (tutorial.detector.runtime, tutorial.extractor.runtime) == ("openvino", "openvino")
    assert (tutorial.detector.mirror, tutorial.extractor.mirror) == (False, True)
    current = parse("SubModules: {Recognition: {mirror: true, threads: 2}}")
    assert (current.extractor.mirror, current.extractor.threads) == (True, 2)
    assert current.extractor.model_name == "SFace"


def test_precision() -> None:
    assert parse("use_hpip: true").extractor.precision == "auto"
    tutorial = parse("Pipeline: {precision: bf16, use_hpip: true}")
    assert (tutorial.detector.precision, tutorial.extractor.precision) == ("auto", "bf16")
    assert parse("SubModules: {Recognition: {precision: int8}}").extractor.precision == "int8"
    for runtime in ("auto", "fastest", "paddle", "paddle-tensorrt", "onnxruntime-tensorrt"):
        text = f"SubModules: {{Recognition: {{precision: fp16, runtime: {runtime}}}}}"
        assert parse(text).extractor.precision == "fp16"
    named = parse("SubModules: {Recognition: {precision: fp32, runtime: paddle}}")
    assert (named.extractor.precision, named.extractor.runtime) == ("fp32", "paddle")


def test_model_directories_are_relative_to_the_file(tmp_path: Path) -> None:
    text = "SubModules: {Detection: {model_name: Blaze, model_dir: models/det}}"
    assert parse(text, tmp_path).detector.model_dir == tmp_path / "models/det"
    absolute = "SubModules: {Detection: {model_dir: /models/det}}"
    assert parse(absolute, tmp_path).detector.model_dir == Path("/models/det")


def test_a_tutorial_model_is_a_directory_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    config = parse("Pipeline: {det_model: mine, rec_model: output/best_model}", tmp_path)
    assert config.detector.model_dir == tmp_path / "mine"
    assert config.detector.model_name == "mine"
    assert config.extractor.model_dir == tmp_path / "output/best_model"
    assert parse("Pipeline: {det_model: mine}").detector.model_dir is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("det_treshold: 1", "det_treshold is not a known key; did you mean det_threshold?"),
        ("Pipelin: {}", "Pipelin is not a known key; did you mean pipeline_name?"),
        ("Pipeline: {score_thre: 1}", "Pipeline.score_thre is not a known key; did you mean scor"),
        ("Pipeline: {}\nGlobl: 1", "Globl is not a known key; did you mean Global?"),
        ("Pipeline: {det_threshold: 1}", "Pipeline.det_threshold is not a known key"),
        ("SubModules: {Detector: {}}", "SubModules.Detector is not a known key; did you mean Det"),
        (
            "SubModules: {Detection: {model_nam: x}}",
            "SubModules.Detection.model_nam is not a known key; did you mean model_name?",
        ),
        (
            "SubModules: {Recognition: {mirorr: true}}",
            "SubModules.Recognition.mirorr is not a known key; did you mean mirror?",
        ),
        ("enrol: {detct: false}", "enrol.detct is not a known key; did you mean detect?"),
        ("compat: {treshold: top1}", "compat.treshold is not a known key; did you mean t"),
        ("detect_size: {largst: 9}", "detect_size.largst is not a known key; did you mea"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse(text)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "must be a mapping"),
        ("text", "must be a mapping"),
        ("Pipeline: 3", "Pipeline must be a mapping"),
        ("SubModules: [1]", "SubModules must be a mapping"),
        ("SubModules: {Detection: YuNet}", "SubModules.Detection must be a mapping"),
        ("Pipeline: {rec_model: 3}", "Pipeline.rec_model must be the name"),
        ("Pipeline: {det_model: [YuNet]}", "Pipeline.det_model must be the name"),
        ("rec_topk: many", "^rec_topk: Input should be a valid integer"),
        ("rec_topk: 0", "^rec_topk: "),
        ("Pipeline: {return_k: 0}", r"^Pipeline\.return_k: "),
        ("Pipeline: {score_thres: x}", r"^Pipeline\.score_thres: "),
        ("Pipeline: {rec_batch_size: 0}", r"^Pipeline\.rec_batch_size: "),
        ("Pipeline: {runtime: openvinno}", r"^Pipeline\.runtime: "),
        ("Pipeline: {mirror: perhaps}", r"^Pipeline\.mirror: "),
        ("Pipeline: {enrol: {faces: all}}", r"^Pipeline\.enrol\.faces: "),
        ("det_threshold: .nan", "det_threshold"),
        ("device: 'tpu:0'", "device"),
        ("SubModules: {Detection: {batch_size: 0}}", r"^SubModules\.Detection\.batch_size: "),
        ("use_hpip: maybe", "use_hpip must be true or false"),
        ("SubModules: {Detection: {hpi_config: {back: x}}}", "hpi_config.back .* mean backend"),
        ("hpi_config: {backend: openvinno}", r"^hpi_config\.backend: "),
        (
            "SubModules: {Recognition: {hpi_config: {backend: x}}}",
            r"^SubModules\.Recognition\.hpi_config\.backend: ",
        ),
        ("SubModules: {Detection: {mirror: true}}", r"^SubModules\.Detection: .*mirror is an opt"),
        (
            "SubModules: {Detection: {precision: bf16}}",
            r"^SubModules\.Detection: .*precision is",
        ),
        ("Pipeline: {precision: fp64}", r"^Pipeline\.precision: "),
        ("Pipeline: {precision: bf16, runtime: paddle}", "OpenVINO alone, but runtime is paddle"),
        (
            "SubModules: {Recognition: {precision: int8, runtime: onnxruntime}}",
            r"^SubModules\.Recognition: .*int8 runs in OpenVINO alone, but runtime is onnxruntime",
        ),
        (
            "SubModules: {Recognition: {precision: fp16, runtime: onnxruntime}}",
            "runtime onnxruntime does not compute in fp16; choose auto or onnxruntime-tensorrt or "
            "paddle-tensorrt or paddle, or precision fp32",
        ),
    ],
)
def test_values_that_can_not_work_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = """
det_treshold: 1
rec_topk: 0
use_hpip: maybe
SubModules:
  Detection: {model_nam: x, batch_size: 0}
  Recogniton: {}
"""
    found = pipeline_mistakes(yaml.safe_load(text), base=BASE)
    assert [message.split(maxsplit=1)[0].rstrip(":") for message in found] == [
        "det_treshold", "use_hpip", "SubModules.Recogniton", "SubModules.Detection.model_nam",
        "SubModules.Detection.batch_size", "rec_topk",
    ]  # fmt: skip
    with pytest.raises(ConfigError) as refusal:
        parse(text)
    assert str(refusal.value) == "; ".join(found)
    assert pipeline_mistakes({"rec_topk": 1}, base=BASE) == []


@pytest.mark.parametrize(
    ("text", "runtimes"),
    [
        ("", ("auto", "auto")),
        ("use_hpip: False", ("auto", "auto")),
        ("use_hpip: True", ("fastest", "fastest")),
        ("use_hpip: True\nSubModules: {Detection: {use_hpip: false}}", ("auto", "fastest")),
        ("use_hpip: True\nSubModules: {Detection: {runtime: paddle}}", ("paddle", "fastest")),
        ("hpi_config: {backend: openvino}", ("openvino", "openvino")),
        ("SubModules: {Recognition: {hpi_config: {backend: paddle}}}", ("auto", "paddle")),
        ("hpi_config: null\nuse_hpip: None", ("auto", "auto")),
        ("Pipeline: {use_hpip: true}", ("fastest", "fastest")),
        ("Pipeline: {runtime: onnxruntime, use_hpip: true}", ("onnxruntime", "onnxruntime")),
    ],
)
def test_paddlex_words_for_a_faster_runtime(text: str, runtimes: tuple[str, str]) -> None:
    config = parse(text or "pipeline_name: face_recognition")
    assert (config.detector.runtime, config.extractor.runtime) == runtimes


def test_loading_by_name_or_path(tmp_path: Path) -> None:
    assert load_pipeline("face_recognition") == PipelineConfig()
    file = tmp_path / "pipeline.yml"
    file.write_text("SubModules: {Detection: {model_dir: near}}", encoding="utf-8")
    assert load_pipeline(str(file)).detector.model_dir == tmp_path / "near"


def test_what_can_not_be_loaded_is_named_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("rec_topk: 0", encoding="utf-8")
    for name, message in (
        ("face_recogniton", "neither face_recognition nor a .yaml file"),
        (str(tmp_path / "none.yaml"), r"none\.yaml can't be read"),
        (str(tmp_path / "broken.yaml"), r"broken\.yaml is not valid YAML"),
        (str(tmp_path / "wrong.yaml"), r"^wrong\.yaml: rec_topk: "),
    ):
        with pytest.raises(ConfigError, match=message) as refusal:
            load_pipeline(name)
        assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "configs/pipeline").glob("*.yaml")), ids=lambda file: file.name
)
def test_every_file_of_ours_is_right(file: Path) -> None:
    assert load_pipeline(str(file)) != PipelineConfig()
