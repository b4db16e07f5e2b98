"""Which runtime of a GPU computes in fp16. What is installed is a stand-in: there was no GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.models.precision import half
from serve_app.models.precision.half import fp16_runtime, why_not_fp16
from serve_app.models.selection.choice import RunOptions
from tests.models.precision.records import NETWORK

GPU = RunOptions("auto", Device("gpu", 0), 1, Path("cache"))
ONNX_TENSORRT, PADDLE_TENSORRT = "onnxruntime-tensorrt", "paddle-tensorrt"


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Runtimes that are here for GPUs, and what they lack for the network; and TensorRT's version.
    All of them, until a test takes something away."""
    found: dict[str, str | None] = {
        "onnxruntime": None, ONNX_TENSORRT: None, PADDLE_TENSORRT: None, "paddle": None,
        "tensorrt": "10.9.0",
    }  # fmt: skip
    monkeypatch.setattr(
        half, "runs_on", lambda name, device: device.kind == "gpu" and name in found
    )
    monkeypatch.setattr(half, "lack", lambda _, name, __: found[name])
    monkeypatch.setattr(half, "version", found.get)
    return found


def test_tensorrt_comes_first(there: dict[str, str | None]) -> None:
    for name in (ONNX_TENSORRT, PADDLE_TENSORRT, "paddle"):
        assert why_not_fp16(GPU) is None
        assert fp16_runtime(NETWORK, GPU) == name
        assert fp16_runtime(NETWORK, replace(GPU, runtime="fastest")) == name
        del there[name]
    assert why_not_fp16(GPU) == (
        "no runtime here computes in fp16 (onnxruntime-tensorrt: not for gpu:0 as installed; "
        "paddle-tensorrt: not for gpu:0 as installed; paddle: not for gpu:0 as installed)"
    )
    with pytest.raises(ConfigError, match=r"^SFace: no runtime for precision fp16 .*choose fp32$"):
        fp16_runtime(NETWORK, GPU)


def test_one_that_is_named_is_taken() -> None:
    for name in (ONNX_TENSORRT, PADDLE_TENSORRT, "paddle"):
        named = replace(GPU, runtime=name)
        assert why_not_fp16(named) is None
        assert fp16_runtime(NETWORK, named) == name


def test_a_network_that_lacks_a_converter_goes_to_the_next(there: dict[str, str | None]) -> None:
    there[ONNX_TENSORRT] = "needs paddle2onnx to be converted"
    assert fp16_runtime(NETWORK, GPU) == PADDLE_TENSORRT
    with pytest.raises(ConfigError, match=r"needs paddle2onnx to be converted.*; choose fp32"):
        fp16_runtime(NETWORK, replace(GPU, runtime=ONNX_TENSORRT))


def test_a_tensorrt_without_a_switch_for_it(there: dict[str, str | None]) -> None:
    """It would compute in fp32, and galleries would say fp16."""
    there["tensorrt"] = "11.2.1.2"
    assert fp16_runtime(NETWORK, GPU) == "paddle"
    message = why_not_fp16(replace(GPU, runtime=ONNX_TENSORRT))
    assert message is not None
    assert "TensorRT 11.2.1.2 computes as the file says; install tensorrt<11" in message
    there["tensorrt"] = None  # the system's own, whose version is not known
    assert fp16_runtime(NETWORK, GPU) == ONNX_TENSORRT


@pytest.mark.parametrize("kind", ["cpu", "npu", "xpu"])
def test_other_devices(kind: str) -> None:
    options = replace(GPU, device=Device(kind))
    assert (
        why_not_fp16(options)
        == f"precision fp16 is for NVIDIA's GPUs, the device is {Device(kind)}"
    )


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_runtimes_that_compute_as_the_file_says(runtime: str) -> None:
    options = replace(GPU, runtime=runtime)
    assert why_not_fp16(options) == f"runtime {runtime} does not compute in fp16"
