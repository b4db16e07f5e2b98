from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.models.network import Network
from serve_app.models.selection import choice
from serve_app.models.selection.choice import plain_runtime

NETWORK = Network("SFace", Path("x.onnx"), "00", ("openvino", "onnxruntime"), dict)


def test_the_plain_runtime_is_the_first_preferred_that_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = {"openvino", "onnxruntime"}
    monkeypatch.setattr(choice, "is_installed", lambda name: name in installed)
    assert plain_runtime(NETWORK) == "openvino"
    installed.remove("openvino")
    assert plain_runtime(NETWORK) == "onnxruntime"
    installed.remove("onnxruntime")
    with pytest.raises(ConfigError, match="install one of openvino, onnxruntime"):
        plain_runtime(NETWORK)
