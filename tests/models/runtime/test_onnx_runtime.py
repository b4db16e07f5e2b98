from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock, Timeout

from serve_app.config.device import Device
from serve_app.errors import ConfigError, ModelError
from serve_app.models.runtime.devices import Engines
from serve_app.models.runtime.onnx_runtime import OnnxRuntimeSession
from serve_app.models.runtime.pinned import PinnedMemory
from serve_app.models.runtime.session import plain_memory
from tests.models.runtime.onnx_networks import BROKEN, WEIGHTS, content


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "small.onnx"
    file.write_bytes(content())
    return file


def test_runs_and_leaves_out_what_the_network_does_not_take(model: Path) -> None:
    session = OnnxRuntimeSession(model, Device(), 1)
    assert session.input_names == ("x",)
    assert session.input_memory is plain_memory
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    outputs = session.run({"x": x, "im_shape": np.zeros(2, dtype=np.float32)})
    assert list(outputs) == ["y", "sum"]
    expected = np.maximum(np.einsum("oc,nchw->nohw", WEIGHTS[:, :, 0, 0], x), 0)
    np.testing.assert_allclose(outputs["y"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["sum"], expected.sum(), rtol=1e-4)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_named(tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(broken)
    message = r"^broken\.onnx can't be loaded by ONNX Runtime: \S"
    with pytest.raises(ModelError, match=message) as raised:
        OnnxRuntimeSession(file, Device(), 1)
    assert str(tmp_path) not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_inputs_that_do_not_fit(model: Path) -> None:
    session = OnnxRuntimeSession(model, Device(), 1)
    with pytest.raises(ModelError, match=r"^small\.onnx can't be run by ONNX Runtime: "):
        session.run({"x": np.zeros((1, 4, 5, 5), dtype=np.float32)})


# --- a GPU, by a stand-in ---


class StandIn:
    """``onnxruntime`` as the session uses it; ``loads``: providers whose libraries are there."""

    def __init__(self, loads: list[str]) -> None:
        self.given: list[Any] = []
        self._loads = loads
        self.SessionOptions = lambda: SimpleNamespace(add_session_config_entry=lambda *_: None)

    def InferenceSession(  # noqa: N802
        self, path: str, _: Any, *, providers: list[Any], enable_fallback: int
    ) -> Any:
        self.given = [Path(path).name, providers, enable_fallback]
        used = [name for name, _ in providers if name in self._loads]
        return SimpleNamespace(
            get_providers=lambda: [*used, "CPUExecutionProvider"],
            get_inputs=lambda: [SimpleNamespace(name="x")],
            get_outputs=lambda: [SimpleNamespace(name="y")],
        )


CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.mark.parametrize(("tensorrt", "expected"), [(False, [CUDA]), (True, [TENSORRT, CUDA])])
def test_a_gpu_is_asked_for_with_no_way_back_to_the_cpu(
    model: Path, monkeypatch: pytest.MonkeyPatch, tensorrt: bool, expected: list[str]
) -> None:
    stand_in = StandIn([CUDA, TENSORRT])
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in)
    session = OnnxRuntimeSession(model, Device("gpu", 1), 1, engines_beside(model, tensorrt))
    name, providers, enable_fallback = stand_in.given
    assert (name, enable_fallback) == ("small.onnx", 0)
    assert [provider for provider, _ in providers] == expected
    assert {options["device_id"] for _, options in providers} == {"1"}
    assert isinstance(session.input_memory, PinnedMemory)
    assert session.input_names == ("x",)


def engines_beside(model: Path, tensorrt: bool) -> Engines | None:
    return Engines(model.parent / "engines") if tensorrt else None


def test_one_process_builds_and_the_others_wait(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn([CUDA, TENSORRT])
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in)
    lock = FileLock(model.parent / "engines" / "lock", timeout=0)
    build, locked = stand_in.InferenceSession, []

    def building(*given: Any, **options: Any) -> Any:
        with pytest.raises(Timeout):
            lock.acquire()
        locked.append(True)
        return build(*given, **options)

    monkeypatch.setattr(stand_in, "InferenceSession", building)
    OnnxRuntimeSession(model, Device("gpu", 1), 1, engines_beside(model, True))
    assert locked == [True]
    with lock:
        pass


@pytest.mark.parametrize(
    ("tensorrt", "loads", "missing"),
    [(False, [], CUDA), (True, [CUDA], TENSORRT), (True, [], f"{TENSORRT}, {CUDA}")],
)
def test_libraries_that_did_not_load(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    tensorrt: bool,
    loads: list[str],
    missing: str,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", StandIn(loads))
    with pytest.raises(ConfigError, match=rf"^device gpu:0: ONNX Runtime can't use {missing}: "):
        OnnxRuntimeSession(model, Device("gpu"), 1, engines_beside(model, tensorrt))
