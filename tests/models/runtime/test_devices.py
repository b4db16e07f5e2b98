"""What each runtime is told of each device. Nothing here ran on another one than a CPU: the calls
are recorded, and checked against the methods of the installed ``paddle.inference.Config``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.config.device import KINDS, Device
from serve_app.errors import ConfigError
from serve_app.models.conversion.paddle_module import import_paddle
from serve_app.models.runtime.devices import (
    TABLE,
    Engines,
    available_devices,
    choose_device,
    onnx_providers,
)
from serve_app.models.runtime.installed import InstalledRuntimes
from tests.models.runtime.recording import RecordingConfig

EXPECTED = {
    "cpu": [("disable_gpu",), ("enable_mkldnn",), ("set_mkldnn_cache_capacity", 10)],
    "gpu": [("disable_mkldnn",), ("enable_use_gpu", 100, 1, "fp32")],
    "npu": [("disable_mkldnn",), ("enable_custom_device", "npu", 1, "fp32")],
    "mlu": [("disable_mkldnn",), ("enable_custom_device", "mlu", 1, "fp32")],
    "xpu": [
        ("disable_mkldnn",),
        ("enable_xpu",),
        ("set_xpu_device_id", 1),
        ("delete_pass", "conv2d_bn_xpu_fuse_pass"),
        ("delete_pass", "transfer_layout_pass"),
    ],
}


def device(kind: str) -> Device:
    return Device(kind, 0 if kind == "cpu" else 1)


# --- the table ---


def test_every_kind_has_a_row() -> None:
    assert tuple(TABLE) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_paddle_is_told(kind: str) -> None:
    config = RecordingConfig()
    TABLE[kind].paddle(config, device(kind))
    assert config.calls == EXPECTED[kind]


def test_what_paddle_is_told_of_fp16() -> None:
    config = RecordingConfig()
    tell = TABLE["gpu"].paddle_fp16
    assert tell is not None
    tell(config, Device("gpu", 1))
    assert config.calls == [("disable_mkldnn",), ("enable_use_gpu", 100, 1, "fp16")]
    tell(import_paddle("paddle.inference").Config(), Device("gpu", 1))  # takes these arguments
    assert [kind for kind in KINDS if TABLE[kind].paddle_fp16] == ["gpu"]


@pytest.mark.parametrize("kind", KINDS)
def test_paddle_takes_these_calls(kind: str, paddle_forms: Path) -> None:
    """Names and arguments fit: what a build for CPUs refuses, it refuses with another error."""
    files = (paddle_forms / "json32" / f"inference.{suffix}" for suffix in ("json", "pdiparams"))
    config = import_paddle("paddle.inference").Config(*map(str, files))
    if kind == "xpu":
        with pytest.raises(RuntimeError, match="please compile with option 'WITH_XPU'"):
            TABLE[kind].paddle(config, device(kind))
    else:
        TABLE[kind].paddle(config, device(kind))
    assert config.mkldnn_enabled() == (kind == "cpu")


def test_xpu_methods_exist() -> None:
    """The one above stops at the first of them."""
    config = import_paddle("paddle.inference").Config()
    assert "set_xpu_device_id(self: " in config.set_xpu_device_id.__doc__
    assert "device_id: int = 0" in config.set_xpu_device_id.__doc__


@pytest.mark.parametrize(
    ("kind", "onnxruntime", "openvino"),
    [
        ("cpu", "CPUExecutionProvider", "CPU"),
        ("gpu", "CUDAExecutionProvider", None),
        ("npu", None, None),
        ("xpu", None, None),
        ("mlu", None, None),
    ],
)
def test_what_the_onnx_runtimes_are_told(
    kind: str, onnxruntime: str | None, openvino: str | None
) -> None:
    assert TABLE[kind].onnxruntime == onnxruntime
    assert TABLE[kind].openvino == openvino


CUDA_OPTIONS = {"device_id": "2", "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


def test_providers_and_their_options() -> None:
    gpu = Device("gpu", 2)
    assert onnx_providers(Device(), None) == [("CPUExecutionProvider", {})]
    assert onnx_providers(gpu, None) == [("CUDAExecutionProvider", CUDA_OPTIONS)]
    assert onnx_providers(gpu, Engines(Path("cache") / "tensorrt")) == [
        (
            "TensorrtExecutionProvider",
            {
                "device_id": "2",
                "trt_fp16_enable": "False",
                "trt_engine_cache_enable": "True",
                "trt_engine_cache_path": "cache/tensorrt",
                "trt_timing_cache_enable": "True",
                "trt_timing_cache_path": "cache/tensorrt",
            },
        ),
        ("CUDAExecutionProvider", CUDA_OPTIONS),
    ]


def test_providers_are_told_of_fp16_and_the_largest_batch() -> None:
    engines = Engines(Path("cache"), True, {"data": (64, 3, 112, 112), "size": (64, 2)})
    (_, tensorrt), (_, cuda) = onnx_providers(Device("gpu", 2), engines)
    assert cuda == CUDA_OPTIONS
    assert tensorrt["trt_fp16_enable"] == "True"
    assert tensorrt["trt_profile_min_shapes"] == "data:1x3x112x112,size:1x2"
    assert tensorrt["trt_profile_opt_shapes"] == "data:64x3x112x112,size:64x2"
    assert tensorrt["trt_profile_max_shapes"] == "data:64x3x112x112,size:64x2"


# --- the choice ---


def machine(*names: str, made_for: tuple[str, ...] = ()) -> Any:
    """A stand-in of InstalledRuntimes that has these devices."""
    devices = []
    for name in names:
        kind, _, number = name.partition(":")
        devices.append(Device(kind, int(number or 0)))
    return SimpleNamespace(
        devices=lambda: tuple(devices), runs_on=lambda _, kind: kind in ("cpu", *made_for)
    )


@pytest.mark.parametrize(
    ("text", "there", "expected"),
    [
        (None, ["cpu"], "cpu"),
        (None, ["cpu", "gpu:0", "gpu:1"], "gpu:0"),
        (None, ["cpu", "npu:0", "xpu:0"], "cpu"),
        ("cpu", ["cpu", "gpu:0"], "cpu"),
        ("gpu", ["cpu", "gpu:0"], "gpu:0"),
        ("gpu:1", ["cpu", "gpu:0", "gpu:1"], "gpu:1"),
        ("npu:3", ["cpu", "npu:0", "npu:1", "npu:2", "npu:3"], "npu:3"),
        ("mlu", ["cpu", "mlu:0"], "mlu:0"),
    ],
)
def test_the_device_that_is_used(text: str | None, there: list[str], expected: str) -> None:
    assert str(choose_device(text, machine(*there))) == expected


@pytest.mark.parametrize(
    ("text", "there", "made_for", "message"),
    [
        (
            "gpu:0", ["cpu"], (),
            r"^device gpu:0 is not here; there is: cpu \(no runtime that is installed is made for "
            r"gpu; install the extra gpu\)$",
        ),
        ("gpu:0", ["cpu"], ("gpu",), r"^device gpu:0 is not here; there is: cpu$"),
        (
            "gpu:2", ["cpu", "gpu:0", "gpu:1"], ("gpu",),
            r"^device gpu:2 is not here; there is: cpu, gpu:0, gpu:1$",
        ),
        (
            "xpu", ["cpu", "gpu:0"], ("gpu",),
            r"^device xpu:0 is not here; there is: cpu, gpu:0 \(no runtime that is installed is "
            r"made for xpu\)$",
        ),
        ("cpu:0", ["cpu"], (), "^device: cpu:0 is not known"),
        ("tpu", ["cpu"], (), "^device: tpu is not known"),
    ],
)  # fmt: skip
def test_a_device_that_is_not_there(
    text: str, there: list[str], made_for: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_device(text, machine(*there, made_for=made_for))


def test_here() -> None:
    assert available_devices() == InstalledRuntimes().devices()
    assert choose_device("cpu") == Device()
    assert choose_device(None) in available_devices()
    with pytest.raises(ConfigError, match=r"^device gpu:999 is not here; there is: cpu"):
        choose_device("gpu:999")
