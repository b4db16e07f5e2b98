from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.models.network import Network
from serve_app.models.selection import forms
from serve_app.models.selection.forms import (
    BestFirst,
    NamedOutputs,
    RunOptions,
    lack,
    open_in,
    runs_as_it_is,
    runtimes_of,
)
from tests.models.stand_ins import FunctionSession

ONNX = Network("SFace", Path("x.onnx"), "00", ("openvino",), dict)
PADDLE = Network("MobileFaceNet", Path("MobileFaceNet_infer"), "00", ("paddle",), dict)
CPU = Device()


def test_each_kind_of_device_has_its_runtimes() -> None:
    assert runtimes_of(CPU) == ("paddle", "onnxruntime", "openvino")
    assert runtimes_of(Device("gpu", 3)) == (
        "paddle", "paddle-tensorrt", "onnxruntime", "onnxruntime-tensorrt"
    )  # fmt: skip
    for kind in ("npu", "xpu", "mlu"):
        assert runtimes_of(Device(kind, 0)) == ("paddle",)


def test_which_form_runs_as_it_is() -> None:
    for runtime in ("paddle", "paddle-tensorrt"):
        assert runs_as_it_is(PADDLE, runtime)
        assert not runs_as_it_is(ONNX, runtime)
    for runtime in ("onnxruntime", "onnxruntime-tensorrt", "openvino"):
        assert runs_as_it_is(ONNX, runtime)
        assert not runs_as_it_is(PADDLE, runtime)


def test_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    there, converter = {"paddle", "onnxruntime", "openvino"}, ["2.1.0"]
    monkeypatch.setattr(forms, "is_installed", lambda name: name in there)
    monkeypatch.setattr(forms, "runs_on", lambda name, device: device.kind == "cpu")
    monkeypatch.setattr(forms, "version", lambda _: converter[0] if converter else None)
    for network in (ONNX, PADDLE):
        assert [lack(network, name, CPU) for name in runtimes_of(CPU)] == [None] * 3
    assert lack(ONNX, "paddle", Device("gpu", 0)) == "not made for gpu as installed"
    converter.clear()
    wanting = lack(PADDLE, "openvino", CPU)
    assert wanting is not None
    assert wanting.startswith("needs paddle2onnx to be converted: pip install")
    assert lack(ONNX, "openvino", CPU) is None
    there.remove("paddle")
    assert lack(ONNX, "paddle", CPU) == "not installed"


def test_outputs_are_called_as_in_the_file_and_keep_their_order() -> None:
    numbered = FunctionSession(lambda x: {"fetch_0": x, "fetch_1": x + 1, "fetch_10": x + 2})
    session = NamedOutputs(numbered, ("cls_8", "obj_8", "bbox_8"))
    assert session.input_names == ("x",)
    answer = session.run({"x": np.zeros((1, 2))})
    assert list(answer) == ["cls_8", "obj_8", "bbox_8"]
    assert answer["bbox_8"].tolist() == [[2, 2]]
    with pytest.raises(ValueError, match="longer"):
        NamedOutputs(numbered, ("cls_8",)).run({"x": np.zeros((1, 2))})


def test_boxes_come_best_first() -> None:
    rows = np.array([[0, 0.2, 1, 1, 2, 2], [0, 0.9, 3, 3, 4, 4], [0, 0.5, 5, 5, 6, 6]])
    count = np.array([2], dtype=np.int32)
    session = BestFirst(FunctionSession(lambda x: {"boxes": rows.copy(), "number": count}))
    answer = session.run({"x": np.zeros(1)})
    assert answer["boxes"][:, 1].tolist() == [0.9, 0.2]  # the third is not this image's
    assert answer["number"] is count
    swapped = BestFirst(FunctionSession(lambda x: {"number": count, "boxes": rows.copy()}))
    assert swapped.run({"x": np.zeros(1)})["boxes"][:, 1].tolist() == [0.9, 0.2]
    embeddings = BestFirst(FunctionSession(lambda x: {"fc1": rows}))
    assert embeddings.run({"x": np.zeros(1)})["fc1"] is rows


def test_a_directory_opens_in_an_onnx_runtime(
    official_models: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("paddle2onnx", reason="converting to ONNX needs paddle2onnx")
    crops = np.random.default_rng(1).normal(size=(2, 3, 112, 112)).astype(np.float32)
    network = Network(
        "MobileFaceNet", official_models["MobileFaceNet"], "00", ("paddle",), lambda: {"x": crops}
    )
    answers = []
    for runtime in ("paddle", "onnxruntime"):
        session = open_in(network, runtime, RunOptions(runtime, CPU, 1, tmp_path))
        (answer,) = session.run({"x": crops}).values()
        answers.append(answer)
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-5)
