"""Opening a file in the one runtime that was chosen for it. Who chooses is ``models.selection``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.models.runtime.onnx_runtime import OnnxRuntimeSession
from serve_app.models.runtime.open_vino import OpenVinoSession
from serve_app.models.runtime.paddle_inference import PaddleSession
from serve_app.models.runtime.session import Session

MODULES = {"paddle": "paddle", "onnxruntime": "onnxruntime", "openvino": "openvino"}
ONNX_RUNTIMES = ("onnxruntime", "openvino")


def open_session(model: Path, *, runtime: str, device: Device, threads: int) -> Session:
    """Load ``model``: an ONNX file for ``onnxruntime`` and ``openvino``, a directory in Paddle's
    form for ``paddle``.

    Raises ConfigError where the runtime is not installed, ModelError where a file is missing.
    """
    if not is_installed(runtime):
        raise ConfigError(f"runtime: {runtime} is not installed; install it or choose auto")
    if runtime == "paddle":
        return PaddleSession(model, device, threads)
    if runtime == "openvino":
        return OpenVinoSession(model, threads)
    return OnnxRuntimeSession(model, device, threads)


def is_installed(runtime: str) -> bool:
    return importlib.util.find_spec(MODULES[runtime]) is not None
