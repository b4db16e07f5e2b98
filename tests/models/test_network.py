from __future__ import annotations

from pathlib import Path

from serve_app.models.network import Network


def test_the_form_is_told_by_the_path() -> None:
    assert Network("SFace", Path("cache/sface-v1.onnx"), "00", ("openvino",), dict).is_onnx
    assert not Network("MobileFaceNet", Path("MobileFaceNet"), "00", ("paddle",), dict).is_onnx
