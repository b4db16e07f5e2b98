from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.models.runtime import opening
from serve_app.models.runtime.opening import open_session


def test_a_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "is_installed", lambda name: name != "openvino")
    with pytest.raises(ConfigError, match="openvino is not installed; install it or choose auto"):
        open_session(Path("x.onnx"), runtime="openvino", device=Device(), threads=1)
