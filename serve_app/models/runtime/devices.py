"""Devices: what each runtime is told of one, and which one a pipeline uses.

Method and option names are those of paddlepaddle 3.2.2's ``paddle.inference.Config`` and of ONNX
Runtime's CUDA and TensorRT providers; values as PaddleX 3.x sets them, where it does. Only the
CPU's row ever ran: the others were tested against recording stand-ins, on no device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serve_app.config.device import Device, parse_device
from serve_app.errors import ConfigError
from serve_app.models.runtime.installed import CUDA, TENSORRT, InstalledRuntimes

GPU_MEMORY_MB = 100
"""What Paddle takes at first; it grows."""

XPU_PASSES_LEFT_OUT = ("conv2d_bn_xpu_fuse_pass", "transfer_layout_pass")
"""PaddleX leaves them out for every model."""


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """``paddle`` configures a ``paddle.inference.Config``, ``paddle_fp16`` one that computes in
    fp16; ``onnxruntime`` is the provider, ``openvino`` the device's name there. None: not for this
    kind."""

    paddle: Callable[[Any, Device], None]
    onnxruntime: str | None
    openvino: str | None
    paddle_fp16: Callable[[Any, Device], None] | None = None


@dataclass(frozen=True, slots=True)
class Engines:
    """What TensorRT is to build for ONNX Runtime. ``directory``: holds what it built, for this
    network at this precision alone. ``largest``: shapes of the inputs of a largest run by name; the
    engine is for those and smaller batches. Empty: any shapes, and building anew whenever they
    leave the range seen so far."""

    directory: Path
    fp16: bool = False
    largest: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def _paddle_cpu(config: Any, _: Device) -> None:
    config.disable_gpu()
    config.enable_mkldnn()
    config.set_mkldnn_cache_capacity(10)  # image sizes vary; an unbounded cache leaks


def _paddle_gpu(config: Any, device: Device) -> None:
    config.disable_mkldnn()  # on by default, and in the way of the GPU's kernels
    config.enable_use_gpu(GPU_MEMORY_MB, device.number, config.Precision.Float32)


def _paddle_gpu_fp16(config: Any, device: Device) -> None:
    """Paddle casts what it can; inputs and outputs stay fp32."""
    config.disable_mkldnn()
    config.enable_use_gpu(GPU_MEMORY_MB, device.number, config.Precision.Half)


def _paddle_xpu(config: Any, device: Device) -> None:
    config.disable_mkldnn()
    config.enable_xpu()
    config.set_xpu_device_id(device.number)
    for name in XPU_PASSES_LEFT_OUT:
        config.delete_pass(name)


def _paddle_custom(config: Any, device: Device) -> None:
    config.disable_mkldnn()
    config.enable_custom_device(device.kind, device.number, config.Precision.Float32)


TABLE = {
    "cpu": DeviceKind(_paddle_cpu, "CPUExecutionProvider", "CPU"),
    # OpenVINO's GPU is Intel's; a device string means NVIDIA's, as in PaddleX.
    "gpu": DeviceKind(_paddle_gpu, CUDA, None, _paddle_gpu_fp16),
    "npu": DeviceKind(_paddle_custom, None, None),
    "xpu": DeviceKind(_paddle_xpu, None, None),
    "mlu": DeviceKind(_paddle_custom, None, None),
}


def onnx_providers(device: Device, engines: Engines | None) -> list[tuple[str, dict[str, str]]]:
    """Providers and their options, first choice first. ``engines``: of TensorRT; None is plain
    CUDA."""
    provider = TABLE[device.kind].onnxruntime
    assert provider is not None, "runs_on was asked"
    if device.kind == "cpu":
        return [(provider, {})]
    number = str(device.number)
    cuda = {
        "device_id": number,
        # The default tries every algorithm at each new image size.
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",  # precision is a choice, not a surprise
    }
    if engines is None:
        return [(provider, cuda)]
    tensorrt = {
        "device_id": number,
        "trt_fp16_enable": str(engines.fp16),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(engines.directory),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(engines.directory),
    }
    if engines.largest:
        smallest = {name: (1, *shape[1:]) for name, shape in engines.largest.items()}
        tensorrt["trt_profile_min_shapes"] = _profile(smallest)
        tensorrt["trt_profile_opt_shapes"] = _profile(engines.largest)
        tensorrt["trt_profile_max_shapes"] = _profile(engines.largest)
    return [(TENSORRT, tensorrt), (provider, cuda)]


def _profile(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """``data:64x3x112x112``, as the provider reads it."""
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())


def available_devices(installed: InstalledRuntimes | None = None) -> tuple[Device, ...]:
    """The devices that a runtime here can use, the CPU first."""
    return (installed or InstalledRuntimes()).devices()


def choose_device(text: str | None, installed: InstalledRuntimes | None = None) -> Device:
    """The device that a pipeline asks for; for None a GPU if one is there, else the CPU.

    Raises ConfigError for what is no device string, and for a device that is not there: it never
    falls to another one.
    """
    installed = installed or InstalledRuntimes()
    if text == "cpu":
        return Device()
    there = installed.devices()
    if text is None:
        return next((device for device in there if device.kind == "gpu"), Device())
    device = parse_device(text)
    if device not in there:
        names = ", ".join(map(str, there)) + _hint(device, installed)
        raise ConfigError(f"device {device} is not here; there is: {names}")
    return device


def _hint(device: Device, installed: InstalledRuntimes) -> str:
    if any(installed.runs_on(runtime, device.kind) for runtime in ("paddle", "onnxruntime")):
        return ""
    extra = "; install the extra gpu" if device.kind == "gpu" else ""
    return f" (no runtime that is installed is made for {device.kind}{extra})"
