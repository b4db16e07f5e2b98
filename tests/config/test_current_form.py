"""What is written out means the same when it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from serve_app.config import PipelineConfig, parse_pipeline
from serve_app.config.current_form import current_form

FILES = [
    "{}",
    "Pipeline: {det_model: BlazeFace, rec_model: mine/rec, score_thres: 0.3, return_k: 7}",
    "Pipeline: {device: 'gpu:1', runtime: openvino, mirror: true, rec_batch_size: 3}",
    """
index: staff
det_threshold: 0.7
use_hpip: true
enrol: {detect: false, faces: single}
compat: {threshold: top1}
detect_size: {smallest: 64, largest: 128}
SubModules:
  Detection: {model_dir: ../models/det, threads: 2}
  Recognition: {mirror: true, precision: bf16, model_name: ResNet50_face}
""",
]


@pytest.mark.parametrize("text", FILES)
def test_it_is_read_as_what_it_was(text: str, tmp_path: Path) -> None:
    config = parse_pipeline(yaml.safe_load(text), base=tmp_path)
    written = yaml.safe_dump(current_form(config, base=tmp_path))
    assert parse_pipeline(yaml.safe_load(written), base=tmp_path) == config
    assert str(tmp_path) not in written


def test_every_setting_is_there(tmp_path: Path) -> None:
    written = current_form(PipelineConfig(), base=tmp_path)
    assert written["rec_topk"] == 5
    assert written["SubModules"]["Detection"]["model_name"] == "YuNet"
    left = set(PipelineConfig.model_fields) - {"detector", "extractor", "top_k"}
    assert left <= set(written)
