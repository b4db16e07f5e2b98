from __future__ import annotations

import re
from pathlib import Path

import pytest

from serve_app.errors import ConfigError, ModelError
from serve_app.models.runtime.failures import MAX_REASON, blamed_on, reason

SAID = {
    "paddle": (
        "(InvalidArgument) Invalid model file. (at /paddle/paddle/fluid/pir/a.cc:104)\n",
        "(InvalidArgument) Invalid model file.",
    ),
    "paddle, in user code": (
        "In user code:\n\n\n    InvalidArgumentError: Ref tensor type (float16) is not supported "
        "by oneDNN.\n      [Hint: Expected ref_type != undef.] (at /paddle/paddle/phi/a.cc:61)\n"
        "      [operator < onednn_kernel.phi_kernel > error]",
        "InvalidArgumentError: Ref tensor type (float16) is not supported by oneDNN.",
    ),
    "onnxruntime": (
        "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from /somewhere/my models/x.onnx "
        "failed:Protobuf parsing failed.",
        "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from x.onnx "
        "failed:Protobuf parsing failed.",
    ),
    "openvino": (
        "Exception from src/core.cpp:84:\nCheck 'm_model' failed at src/a.cpp:5:\n"
        "FrontEnd API failed with GeneralFailure:\nModel can't be parsed\n",
        "Model can't be parsed",
    ),
    "a relative path": ("no file models/x.onnx", "no file models/x.onnx"),
    "another path": ("no library /usr/lib/libcudnn.so.9", "no library libcudnn.so.9"),
    "openvino, a file": (
        'Could not open the file: "/somewhere/x.onnx"',
        'Could not open the file: "x.onnx"',
    ),
    "nothing": ("", "RuntimeError"),
}


@pytest.mark.parametrize(("said", "expected"), SAID.values(), ids=SAID.keys())
def test_the_reason_alone_is_kept(said: str, expected: str) -> None:
    assert reason(RuntimeError(said), Path("/somewhere/my models/x.onnx")) == expected


def test_a_long_reason_is_cut() -> None:
    said = reason(ValueError("word " * 1000), Path("x.onnx"))
    assert len(said) <= MAX_REASON + 4
    assert said.endswith("word ...")


@pytest.mark.parametrize(("doing", "logged"), [("run", True), ("loaded", False)])
def test_the_file_is_blamed(doing: str, logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A failed run is logged: a service answers no more than that something broke."""
    with (
        pytest.raises(ModelError) as raised,
        blamed_on(Path("models/Net/inference.json"), "Paddle", doing),
    ):
        raise NotImplementedError("no kernel\n (at /paddle/x.cc:1)")
    assert str(raised.value) == f"Net/inference.json can't be {doing} by Paddle: no kernel"
    assert raised.value.__suppress_context__
    assert [record.message for record in caplog.records] == [str(raised.value)] * logged


@pytest.mark.parametrize("error", [ConfigError("what to do"), MemoryError("full")])
def test_what_is_said_already_or_is_not_the_files_fault(error: Exception) -> None:
    with (
        pytest.raises(type(error), match=re.escape(str(error))) as raised,
        blamed_on(Path("x.onnx"), "OpenVINO", "loaded"),
    ):
        raise error
    assert raised.value is error
