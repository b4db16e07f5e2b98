"""Opening a file in the one runtime that was chosen for it. Who chooses is ``models.selection``."""

from __future__ import annotations

from pathlib import Path

from serve_app.config.device import Device
from serve_app.errors import ConfigError, ModelError
from serve_app.models.conversion.parameters import as_float32, check_whole
from serve_app.models.runtime.installed import MODULES, InstalledRuntimes
from serve_app.models.runtime.onnx_runtime import OnnxRuntimeSession
from serve_app.models.runtime.open_vino import OpenVinoSession
from serve_app.models.runtime.paddle_inference import PaddleSession, paddle_files
from serve_app.models.runtime.paddle_tensorrt import with_engines
from serve_app.models.runtime.session import Session, Tensors

RUNTIMES = tuple(MODULES)


def open_session(
    model: Path,
    *,
    runtime: str,
    device: Device,
    threads: int,
    cache_dir: Path,
    example: Tensors | None = None,
    bf16: bool = False,
) -> Session:
    """Load ``model``: an ONNX file for ``onnxruntime``, ``onnxruntime-tensorrt`` and ``openvino``,
    a directory in Paddle's form for ``paddle`` and ``paddle-tensorrt``.

    ``cache_dir``: for fp32 copies of directories in fp16, which a CPU can't run, and for what
    TensorRT builds. ``example``: only ``paddle-tensorrt`` asks for it: inputs as large as any run
    will have; its engines are for those and smaller batches. ``bf16``: only ``openvino`` computes
    so, where the processor can.

    Raises ConfigError where the runtime is not installed or not made for the device, ModelError
    where a file is missing, cut short or damaged, or the runtime can't load it.
    """
    assert not bf16 or runtime == "openvino"
    if not is_installed(runtime):
        raise ConfigError(f"runtime: {runtime} is not installed; install it or choose auto")
    if not runs_on(runtime, device):
        fitting = [name for name in RUNTIMES if runs_on(name, device)]
        raise ConfigError(
            f"runtime: {runtime}, as installed, does not run on {device}; choose auto"
            + "".join(f" or {name}" for name in fitting)
        )
    if runtime in ("paddle", "paddle-tensorrt"):
        return _open_paddle(model, runtime, device, threads, cache_dir, example)
    if not model.is_file():
        raise ModelError(f"{model.name} is not there, or no ONNX file")
    if runtime == "openvino":
        return OpenVinoSession(model, device, threads, bf16=bf16)
    engines = cache_dir / "tensorrt" if runtime == "onnxruntime-tensorrt" else None
    return OnnxRuntimeSession(model, device, threads, engines)


def is_installed(runtime: str) -> bool:
    """``runtime``: one of RUNTIMES. Those with TensorRT: in a build that has it."""
    return InstalledRuntimes().has(runtime)


def runs_on(runtime: str, device: Device) -> bool:
    """Whether the runtime, as installed, is made for devices of that kind."""
    return InstalledRuntimes().runs_on(runtime, device.kind)


def _open_paddle(
    model: Path,
    runtime: str,
    device: Device,
    threads: int,
    cache_dir: Path,
    example: Tensors | None,
) -> Session:
    network, parameters = paddle_files(model)
    if device.kind == "cpu":
        network, parameters = as_float32(network, parameters, cache_dir)
    else:
        check_whole(network, parameters)
    if runtime == "paddle-tensorrt":
        network, parameters = with_engines(network, parameters, device, cache_dir, example)
    return PaddleSession(network, parameters, device, threads)
