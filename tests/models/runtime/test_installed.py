"""What is said to be there, with stand-ins of builds and devices that this machine lacks."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.config.device import KINDS
from serve_app.models.runtime.installed import (
    CUDA,
    MODULES,
    TENSORRT,
    InstalledRuntimes,
    nvidia_gpus,
)

CPU_BUILD = {"cuda_version": "False", "xpu_xre_version": "False", "tensorrt_version": "None"}
CPU_PROVIDERS = ["AzureExecutionProvider", "CPUExecutionProvider"]


class Machine:
    """``paddle``: None is not installed, else the settings of its version module."""

    def __init__(
        self,
        folder: Path,
        *,
        paddle: dict[str, str] | None = None,
        providers: list[str] | None = None,
        modules: tuple[str, ...] = (),
        gpus: int = 0,
        xpus: int = 0,
        custom: list[str] | None = None,
        driver_gpus: int = 0,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.asked: list[str] = []
        self._specs: dict[str, ModuleSpec] = {name: ModuleSpec(name, None) for name in modules}
        if providers is not None:
            self._specs["onnxruntime"] = ModuleSpec("onnxruntime", None)
        if paddle is not None:
            version = folder / "paddle" / "version"
            version.mkdir(parents=True, exist_ok=True)
            lines = [f"{name:16} = '{value}'" for name, value in (CPU_BUILD | paddle).items()]
            text = "\n".join(["# generated", "is_tagged        = True", *lines, "def cuda(): ..."])
            (version / "__init__.py").write_text(text, encoding="utf-8")
            spec = ModuleSpec("paddle", None, is_package=True)
            spec.submodule_search_locations = [str(folder / "paddle")]
            self._specs["paddle"] = spec
        device = SimpleNamespace(
            cuda=SimpleNamespace(device_count=lambda: gpus),
            xpu=SimpleNamespace(device_count=lambda: xpus),
            get_available_custom_device=lambda: custom,
        )
        self._modules: dict[str, Any] = {
            "paddle": SimpleNamespace(device=device),
            "onnxruntime": SimpleNamespace(get_available_providers=lambda: providers),
        }
        self.runtimes = InstalledRuntimes(
            find=self._specs.get,
            paddle=lambda: self._import("paddle"),
            onnxruntime=lambda: self._import("onnxruntime"),
            environ=environ or {},
            count_gpus=lambda: driver_gpus,
        )

    def _import(self, name: str) -> Any:
        self.asked.append(name)
        return self._modules[name]

    def devices(self) -> list[str]:
        return [str(device) for device in self.runtimes.devices()]


def test_nothing_but_cpus(tmp_path: Path) -> None:
    machine = Machine(tmp_path, paddle={}, providers=CPU_PROVIDERS, driver_gpus=4)
    assert machine.devices() == ["cpu"]
    assert "paddle" not in machine.asked, "its metadata says enough"


def test_no_runtime_at_all(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.devices() == ["cpu"]
    assert not any(machine.runtimes.has(name) for name in MODULES)
    assert not any(machine.runtimes.runs_on(name, kind) for name in MODULES for kind in KINDS)


def test_gpus_as_paddle_counts_them(tmp_path: Path) -> None:
    machine = Machine(tmp_path, paddle={"cuda_version": "12.6"}, gpus=2, driver_gpus=9)
    assert machine.devices() == ["cpu", "gpu:0", "gpu:1"]


def test_a_cuda_build_without_a_gpu(tmp_path: Path) -> None:
    assert Machine(tmp_path, paddle={"cuda_version": "12.6"}).devices() == ["cpu"]
    machine = Machine(tmp_path, providers=[CUDA, "CPUExecutionProvider"])
    assert machine.devices() == ["cpu"]


def test_gpus_of_onnx_runtime_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path, paddle={}, providers=[CUDA], driver_gpus=1)
    assert machine.devices() == ["cpu", "gpu:0"]
    assert "paddle" not in machine.asked
    assert machine.runtimes.runs_on("onnxruntime", "gpu")
    assert not machine.runtimes.runs_on("paddle", "gpu")


def test_xpus(tmp_path: Path) -> None:
    machine = Machine(tmp_path, paddle={"xpu_xre_version": "5.0.21"}, xpus=3)
    assert machine.devices() == ["cpu", "xpu:0", "xpu:1", "xpu:2"]


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        (["npu"], ["npu:0"]),
        (["npu:0", "npu:1"], ["npu:0", "npu:1"]),
        (["mlu:0", "mlu:1", "npu"], ["npu:0", "mlu:0", "mlu:1"]),
        (["CustomCPU"], []),
        (None, []),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_plug_ins(
    tmp_path: Path, custom: list[str] | None, expected: list[str], named: bool
) -> None:
    folder = tmp_path / ("plug-ins" if named else "paddle_custom_device")
    folder.mkdir()
    environ = {"CUSTOM_DEVICE_ROOT": str(folder) if named else ""}
    machine = Machine(tmp_path, paddle={}, custom=custom, environ=environ)
    assert machine.devices() == ["cpu", *expected]


@pytest.mark.parametrize(
    ("runtime", "kinds"),
    [
        ("paddle", {"cpu", "gpu"}),
        ("paddle-tensorrt", {"gpu"}),
        ("onnxruntime", {"cpu", "gpu"}),
        ("onnxruntime-tensorrt", {"gpu"}),
        ("openvino", {"cpu"}),
    ],
)
def test_what_runs_where_in_full_builds(tmp_path: Path, runtime: str, kinds: set[str]) -> None:
    machine = Machine(
        tmp_path,
        paddle={"cuda_version": "12.6", "tensorrt_version": "10.5.0"},
        providers=[TENSORRT, CUDA, "CPUExecutionProvider"],
        modules=("openvino", "tensorrt"),
    )
    assert machine.runtimes.has(runtime)
    assert {kind for kind in KINDS if machine.runtimes.runs_on(runtime, kind)} == kinds


def test_tensorrt_needs_its_own_package_and_a_build_that_knows_it(tmp_path: Path) -> None:
    build = {"cuda_version": "12.6", "tensorrt_version": "10.5.0"}
    assert not Machine(tmp_path, paddle=build).runtimes.has("paddle-tensorrt")
    assert not Machine(tmp_path, paddle={}, modules=("tensorrt",)).runtimes.has("paddle-tensorrt")
    assert not Machine(tmp_path, providers=[CUDA]).runtimes.has("onnxruntime-tensorrt")


def test_what_is_installed_here() -> None:
    runtimes = InstalledRuntimes()
    assert {name for name in MODULES if runtimes.has(name)} >= {
        "paddle", "onnxruntime", "openvino",
    }  # fmt: skip
    assert str(runtimes.devices()[0]) == "cpu"
    import paddle

    assert runtimes.runs_on("paddle", "gpu") == paddle.is_compiled_with_cuda()
    assert runtimes.runs_on("paddle", "xpu") == paddle.is_compiled_with_xpu()
    assert nvidia_gpus() >= paddle.device.cuda.device_count()


COUNT = """
import sys
from serve_app.models.runtime.devices import available_devices
print(*available_devices())
print("paddle" in sys.modules, "openvino" in sys.modules)
"""


def test_cheaply_and_quietly_here() -> None:
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("a build for GPUs is asked")
    command = [sys.executable, "-c", COUNT]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("cpu\nFalse False\n", "")
