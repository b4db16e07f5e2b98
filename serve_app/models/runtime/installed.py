"""Which runtimes are installed, for what their builds are made, and how many devices those see.

Cheap on purpose: metadata says whether a build knows a device at all, and only then is it imported
and asked. What is counted on GPUs, XPUs and custom devices was tested with stand-ins of the
runtimes; none of it ever ran on such a device.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from serve_app.config.device import KINDS, Device
from serve_app.models.conversion.paddle_module import import_paddle

MODULES = {
    "paddle": "paddle",
    "paddle-tensorrt": "paddle",
    "onnxruntime": "onnxruntime",
    "onnxruntime-tensorrt": "onnxruntime",
    "openvino": "openvino",
}
"""The runtimes by name, and the module of each."""

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_SETTING = re.compile(r"^(\w+)\s*=\s*'([^']*)'", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PaddleBuild:
    """``custom``: plug-ins for NPUs, MLUs and others are installed beside it."""

    cuda: bool = False
    xpu: bool = False
    tensorrt: bool = False
    custom: bool = False


class InstalledRuntimes:
    """``find`` as importlib's ``find_spec``; ``paddle`` and ``onnxruntime`` import them;
    ``count_gpus`` as NVIDIA's driver counts them."""

    def __init__(
        self,
        find: Callable[[str], ModuleSpec | None] = importlib.util.find_spec,
        paddle: Callable[[], Any] = import_paddle,
        onnxruntime: Callable[[], Any] = lambda: importlib.import_module("onnxruntime"),
        environ: Mapping[str, str] = os.environ,
        count_gpus: Callable[[], int] | None = None,
    ) -> None:
        self._find = find
        self._paddle = paddle
        self._onnxruntime = onnxruntime
        self._environ = environ
        self._count_gpus = count_gpus or nvidia_gpus

    def has(self, runtime: str) -> bool:
        """Whether the runtime is installed; for TensorRT, in a build that has it."""
        if self._find(MODULES[runtime]) is None:
            return False
        if runtime == "paddle-tensorrt":
            return self._paddle_build().tensorrt and self._find("tensorrt") is not None
        return runtime != "onnxruntime-tensorrt" or TENSORRT in self._onnx_providers()

    def runs_on(self, runtime: str, kind: str) -> bool:
        """Whether what is installed of the runtime is made for devices of ``kind``."""
        if not self.has(runtime):
            return False
        if runtime in ("paddle-tensorrt", "onnxruntime-tensorrt"):
            return kind == "gpu"
        if kind == "cpu":
            return True
        if runtime == "paddle":
            build = self._paddle_build()
            return {"gpu": build.cuda, "xpu": build.xpu}.get(kind, build.custom)
        return runtime == "onnxruntime" and kind == "gpu" and CUDA in self._onnx_providers()

    def devices(self) -> tuple[Device, ...]:
        """All that a runtime here can use, the CPU first."""
        counts = {kind: self._count(kind) for kind in KINDS[1:]}
        found = [Device(kind, number) for kind in counts for number in range(counts[kind])]
        return (Device(), *found)

    def _count(self, kind: str) -> int:
        if self.runs_on("paddle", kind):
            device = self._paddle().device
            if kind == "gpu":
                return int(device.cuda.device_count())
            if kind == "xpu":
                return int(device.xpu.device_count())
            # "npu" where there is one, "npu:0" and "npu:1" where there are two
            listed = device.get_available_custom_device() or []
            return sum(name.partition(":")[0] == kind for name in listed)
        if self.runs_on("onnxruntime", kind):
            return self._count_gpus()  # ONNX Runtime tells which providers it has, not how many
        return 0

    def _paddle_build(self) -> PaddleBuild:
        """From ``paddle/version``, which Paddle's own set-up writes; Paddle is not imported."""
        spec = self._find("paddle")
        if spec is None or not spec.submodule_search_locations:
            return PaddleBuild()
        package = Path(spec.submodule_search_locations[0])
        text = (package / "version" / "__init__.py").read_text(encoding="utf-8")
        settings = dict(_SETTING.findall(text))

        def built_for(name: str) -> bool:
            return settings.get(name, "False") not in ("False", "None", "0", "")

        plugins = self._environ.get("CUSTOM_DEVICE_ROOT") or package.parent / "paddle_custom_device"
        return PaddleBuild(
            cuda=built_for("cuda_version"),
            xpu=built_for("xpu_xre_version"),
            tensorrt=built_for("tensorrt_version"),
            custom=Path(plugins).is_dir(),
        )

    def _onnx_providers(self) -> list[str]:
        if self._find("onnxruntime") is None:
            return []
        return list(self._onnxruntime().get_available_providers())


def nvidia_gpus() -> int:
    """How many GPUs NVIDIA's driver shows to this process (``CUDA_VISIBLE_DEVICES`` counts)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
