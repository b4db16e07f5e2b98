from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ConfigError, ModelError
from serve_app.models.runtime import opening
from serve_app.models.runtime.devices import Engines
from serve_app.models.runtime.opening import RUNTIMES, is_installed, open_session, runs_on
from tests.models.paddle_networks import INPUT, cosines, network_files
from tests.models.runtime.onnx_networks import content


def open_here(model: Path, runtime: str, cache_dir: Path, device: str = "cpu") -> Any:
    kind = Device(device)
    return open_session(model, runtime=runtime, device=kind, threads=1, cache_dir=cache_dir)


# --- runtimes and devices ---


def test_a_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opening, "is_installed", lambda name: name != "openvino")
    with pytest.raises(ConfigError, match="openvino is not installed; install it or choose auto"):
        open_here(Path("x.onnx"), "openvino", tmp_path)


def test_every_runtime_can_be_asked_for() -> None:
    assert {name: is_installed(name) for name in RUNTIMES}.keys() == {
        "paddle", "paddle-tensorrt", "onnxruntime", "onnxruntime-tensorrt", "openvino",
    }  # fmt: skip
    assert all(is_installed(name) for name in ("paddle", "onnxruntime", "openvino"))
    assert runs_on("openvino", Device())
    assert not runs_on("openvino", Device("gpu"))


def test_a_runtime_that_is_not_made_for_the_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def only_paddle(runtime: str, _: Device) -> bool:
        return runtime == "paddle"

    monkeypatch.setattr(opening, "runs_on", only_paddle)
    message = r"^runtime: openvino, as installed, does not run on gpu:0; choose auto or paddle$"
    with pytest.raises(ConfigError, match=message):
        open_here(Path("x.onnx"), "openvino", tmp_path, "gpu")


# --- ONNX ---


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_onnx_files(tmp_path: Path, runtime: str) -> None:
    model = tmp_path / "small.onnx"
    with pytest.raises(ModelError, match=r"^small\.onnx is not there, or no ONNX file$"):
        open_here(model, runtime, tmp_path)
    model.write_bytes(content())
    outputs = open_here(model, runtime, tmp_path).run({"x": np.ones((1, 3, 4, 4), np.float32)})
    assert outputs["y"].shape == (1, 8, 4, 4)
    with pytest.raises(ModelError, match="is not there, or no ONNX file"):
        open_here(tmp_path, runtime, tmp_path)


# --- Paddle ---


@pytest.mark.parametrize("kind", ["json", "pdmodel"])
def test_directories_in_fp16_run_on_the_cpu(paddle_forms: Path, tmp_path: Path, kind: str) -> None:
    answers = []
    for form in (f"{kind}32", f"{kind}_half"):
        session = open_here(paddle_forms / form, "paddle", tmp_path)
        (answer,) = session.run({"x": INPUT}).values()
        answers.append(answer)
    assert cosines(*answers).min() > 0.9999
    assert [path.name.rpartition("-fp32-")[0][:-13] for path in tmp_path.glob("*-v1")] == [
        f"{kind}_half"
    ]


BROKEN = {
    "a value is missing": lambda content: content[:-2],
    "a record is missing": lambda content: content[: content.rindex(b"\0" * 16 + b"\x04")],
    "empty": lambda _: b"",
    "a page": lambda _: b"<html>Not found</html>" * 10,
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_a_parameter_file_that_is_damaged(
    paddle_forms: Path, tmp_path: Path, form: str, damage: Any
) -> None:
    """Without the check Paddle loads the first of them and answers wrongly."""
    shutil.copytree(paddle_forms / form, tmp_path / "Net")
    _, parameters = network_files(tmp_path / "Net")
    parameters.write_bytes(damage(parameters.read_bytes()))
    with pytest.raises(ModelError, match=r"^Net/inference\."):
        open_here(tmp_path / "Net", "paddle", tmp_path / "cache")


@pytest.mark.parametrize("network", [b"<html>Not found</html>", b'{"a": 1}', b"\0\1hello" * 9, b""])
@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_a_network_that_is_none(
    paddle_forms: Path, tmp_path: Path, form: str, network: bytes
) -> None:
    """Given such a ``.pdmodel``, Paddle itself ends the process with SIGSEGV."""
    shutil.copytree(paddle_forms / form, tmp_path / "Net")
    file, _ = network_files(tmp_path / "Net")
    file.write_bytes(network)
    with pytest.raises(ModelError, match=rf"^Net/{file.name} "):
        open_here(tmp_path / "Net", "paddle", tmp_path / "cache")


class Opened:
    """Stand-in of PaddleSession: what it was opened with."""

    def __init__(
        self, network: Path, parameters: Path, device: Device, threads: int, *, fp16: bool
    ) -> None:
        self.given = (network, parameters, device, threads)
        self.fp16 = fp16


@pytest.mark.parametrize("kind", ["gpu", "npu", "xpu", "mlu"])
def test_other_devices_get_fp16_as_it_is(
    paddle_forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(opening, "runs_on", lambda *_: True)
    monkeypatch.setattr(opening, "PaddleSession", Opened)
    session = open_here(paddle_forms / "json_half", "paddle", tmp_path, kind)
    assert session.given == (*network_files(paddle_forms / "json_half"), Device(kind), 1)
    assert list(tmp_path.iterdir()) == []


def test_other_devices_get_no_damaged_file(
    paddle_forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "runs_on", lambda *_: True)
    monkeypatch.setattr(opening, "PaddleSession", Opened)
    shutil.copytree(paddle_forms / "json32", tmp_path / "Net")
    _, parameters = network_files(tmp_path / "Net")
    parameters.write_bytes(parameters.read_bytes()[:-2])
    with pytest.raises(ModelError, match="cut short"):
        open_here(tmp_path / "Net", "paddle", tmp_path, "gpu")


def test_tensorrt_is_given_the_example(
    paddle_forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def engines(*given: Any, fp16: bool) -> tuple[Path, Path]:
        asked.append((*given, fp16))
        return tmp_path / "inference.json", tmp_path / "inference.pdiparams"

    monkeypatch.setattr(opening, "is_installed", lambda _: True)
    monkeypatch.setattr(opening, "runs_on", lambda *_: True)
    monkeypatch.setattr(opening, "PaddleSession", Opened)
    monkeypatch.setattr(opening, "with_engines", engines)
    session: Any = open_session(
        paddle_forms / "json32",
        runtime="paddle-tensorrt",
        device=Device("gpu", 1),
        threads=2,
        cache_dir=tmp_path,
        example={"x": INPUT},
    )
    files = network_files(paddle_forms / "json32")
    assert asked == [(*files, Device("gpu", 1), tmp_path, {"x": INPUT}, False)]
    assert session.given == (
        tmp_path / "inference.json", tmp_path / "inference.pdiparams", Device("gpu", 1), 2,
    )  # fmt: skip


@pytest.mark.parametrize("runtime", ["paddle", "paddle-tensorrt"])
def test_fp16_and_the_largest_batch_in_paddle(
    paddle_forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    """With TensorRT it is the engines that compute so."""
    asked: list[Any] = []

    def engines(network: Path, parameters: Path, *given: Any, fp16: bool) -> tuple[Path, Path]:
        asked.append((given[-1]["x"].shape, fp16))
        return network, parameters

    monkeypatch.setattr(opening, "is_installed", lambda _: True)
    monkeypatch.setattr(opening, "runs_on", lambda *_: True)
    monkeypatch.setattr(opening, "PaddleSession", Opened)
    monkeypatch.setattr(opening, "with_engines", engines)
    session: Any = open_session(
        paddle_forms / "json32",
        runtime=runtime,
        device=Device("gpu", 1),
        threads=2,
        cache_dir=tmp_path,
        example={"x": INPUT},
        fp16=True,
        max_batch=64,
    )
    with_tensorrt = runtime == "paddle-tensorrt"
    assert asked == ([((64, *INPUT.shape[1:]), True)] if with_tensorrt else [])
    assert session.fp16 == (not with_tensorrt)


def onnx_engines(
    model: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, **options: Any
) -> Engines | None:
    """What ONNX Runtime is given on a GPU."""
    given: list[Any] = []
    monkeypatch.setattr(opening, "is_installed", lambda _: True)
    monkeypatch.setattr(opening, "runs_on", lambda *_: True)
    monkeypatch.setattr(opening, "OnnxRuntimeSession", lambda *all_of_it: given.extend(all_of_it))
    open_session(
        model,
        runtime=runtime,
        device=Device("gpu"),
        threads=1,
        cache_dir=Path("cache"),
        example={"x": np.ones((8, 3, 4, 4), np.float32)},
        **options,
    )
    assert given[:-1] == [model, Device("gpu"), 1]
    engines: Engines | None = given[-1]
    return engines


def test_what_tensorrt_is_to_build_for_onnx_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "small.onnx"
    model.write_bytes(content())
    assert onnx_engines(model, monkeypatch, "onnxruntime") is None
    any_size = onnx_engines(model, monkeypatch, "onnxruntime-tensorrt")
    batches = onnx_engines(model, monkeypatch, "onnxruntime-tensorrt", max_batch=64)
    assert any_size is not None
    assert batches is not None
    assert (any_size.fp16, any_size.largest) == (False, {})
    assert batches.largest == {"x": (64, 3, 4, 4)}


def test_engines_of_another_precision_or_other_weights_lie_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "small.onnx"
    found = []
    for weights in (b"some", b"other"):
        model.write_bytes(weights)
        for fp16 in (False, True):
            engines = onnx_engines(model, monkeypatch, "onnxruntime-tensorrt", fp16=fp16)
            assert engines is not None
            assert engines.fp16 == fp16
            found.append(engines.directory)
    assert len(set(found)) == 4
    assert {directory.parent for directory in found} == {Path("cache/tensorrt")}
