from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.models.network import Network
from serve_app.models.precision.precision import (
    BF16,
    FP16,
    FP32,
    Precision,
    model_id,
    parse_precision,
)

NETWORK = Network("SFace", Path("x.onnx"), "fb143eea07838aa5", ("openvino",), dict)
INT8 = Precision("int8", "1a2b3c4d")


@pytest.mark.parametrize(
    ("precision", "text", "of_model"),
    [
        (FP32, "fp32", "SFace@fb143eea0783"),
        (FP16, "fp16", "SFace@fb143eea0783+fp16"),
        (BF16, "bf16", "SFace@fb143eea0783+bf16"),
        (INT8, "int8-1a2b3c4d", "SFace@fb143eea0783+int8-1a2b3c4d"),
    ],
)
def test_names(precision: Precision, text: str, of_model: str) -> None:
    assert str(precision) == text
    assert parse_precision(text) == precision
    assert model_id(NETWORK, precision) == of_model


def test_fp32_has_the_id_that_galleries_hold_already() -> None:
    assert model_id(NETWORK) == "SFace@fb143eea0783"


@pytest.mark.parametrize(
    "text", ["", "int8", "int8-", "fp64", "fp16-1", "bf16-1", "FP32", "fp32-1a2b3c4d"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no precision"):
        parse_precision(text)
