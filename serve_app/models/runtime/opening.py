"""Opening a file in the one runtime that was chosen for it. Who chooses is ``models.selection``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serve_app.config.device import Device
from serve_app.config.pipeline import FP16_RUNTIMES
from serve_app.errors import ConfigError, ModelError
from serve_app.models.conversion.cached import digest_of
from serve_app.models.conversion.parameters import as_float32, check_whole
from serve_app.models.runtime.devices import Engines
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
    fp16: bool = False,
    max_batch: int | None = None,
) -> Session:
    """Load ``model``: an ONNX file for ``onnxruntime``, ``onnxruntime-tensorrt`` and ``openvino``,
    a directory in Paddle's form for ``paddle`` and ``paddle-tensorrt``.

    ``cache_dir``: for fp32 copies of directories in fp16, which a CPU can't run, and for what
    TensorRT builds. ``example``: inputs, for TensorRT: engines are for images as large, and for
    batches of one up to ``max_batch``. Without that ``paddle-tensorrt`` takes the example's, and
    ``onnxruntime-tensorrt`` any shapes, building anew as they come. ``bf16``: only ``openvino``
    computes so, where the processor can. ``fp16``: only FP16_RUNTIMES do, on GPUs.

    Raises ConfigError where the runtime is not installed or not made for the device, ModelError
    where a file is missing, cut short or damaged, or the runtime can't load it.
    """
    assert not bf16 or runtime == "openvino"
    assert not fp16 or (runtime in FP16_RUNTIMES and device.kind == "gpu")
    if not is_installed(runtime):
        raise ConfigError(f"runtime: {runtime} is not installed; install it or choose auto")
    if not runs_on(runtime, device):
        fitting = [name for name in RUNTIMES if runs_on(name, device)]
        raise ConfigError(
            f"runtime: {runtime}, as installed, does not run on {device}; choose auto"
            + "".join(f" or {name}" for name in fitting)
        )
    if runtime in ("paddle", "paddle-tensorrt"):
        return _open_paddle(model, runtime, device, threads, cache_dir, example, max_batch, fp16)
    if not model.is_file():
        raise ModelError(f"{model.name} is not there, or no ONNX file")
    if runtime == "openvino":
        return OpenVinoSession(model, device, threads, bf16=bf16)
    engines = None
    if runtime == "onnxruntime-tensorrt":
        largest = _largest_shapes(example or {}, max_batch)
        engines = Engines(_engines_directory(model, cache_dir, fp16), fp16, largest)
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
    max_batch: int | None,
    fp16: bool,
) -> Session:
    network, parameters = paddle_files(model)
    if device.kind == "cpu":
        network, parameters = as_float32(network, parameters, cache_dir)
    else:
        check_whole(network, parameters)
    if runtime == "paddle-tensorrt":
        if example is not None and max_batch is not None:
            shapes = _largest_shapes(example, max_batch)
            example = {name: np.resize(example[name], shapes[name]) for name in shapes}
        network, parameters = with_engines(
            network, parameters, device, cache_dir, example, fp16=fp16
        )
        fp16 = False  # it is in the engines
    return PaddleSession(network, parameters, device, threads, fp16=fp16)


def _engines_directory(model: Path, cache_dir: Path, fp16: bool) -> Path:
    """ONNX Runtime names engines by the network's structure: the same one with other weights, or at
    another precision, would be given these."""
    precision = "fp16" if fp16 else "fp32"
    return cache_dir / "tensorrt" / f"{model.stem}-{digest_of(model)[:12]}-{precision}"


def _largest_shapes(example: Tensors, max_batch: int | None) -> dict[str, tuple[int, ...]]:
    """Of a run with ``max_batch`` images like the example's; empty where that is not known."""
    if max_batch is None:
        return {}
    return {name: (max_batch, *array.shape[1:]) for name, array in example.items()}
