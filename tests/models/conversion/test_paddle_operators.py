"""Operator by operator, Paddle computes what ONNX Runtime does; what it can't is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.conversion.onnx_graph import Node, read_graph
from serve_app.models.conversion.paddle_operators import OPERATORS, apply
from serve_app.models.conversion.to_paddle import output_names, to_paddle
from serve_app.models.runtime import open_session
from tests.models.conversion.onnx_networks import IMAGE, every_operator, tail

SHAPES = ((1, 4, 16, 24), (3, 4, 32, 16))
"""Batches and sizes of one converted network: none is fixed in it."""


def answers(file: Path, cache: Path, image: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Of ONNX Runtime, then of Paddle, by the file's own names."""
    directory = to_paddle(file, cache)
    found = []
    for runtime, model in (("onnxruntime", file), ("paddle", directory)):
        session = open_session(model, runtime=runtime, device=Device(), threads=1, cache_dir=cache)
        assert session.input_names == (IMAGE,)
        outputs = session.run({IMAGE: image})
        names = outputs if runtime == "onnxruntime" else output_names(directory)
        found.append(dict(zip(names, outputs.values(), strict=True)))
    return found


def image(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(4).uniform(-2, 2, shape).astype(np.float32)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("operators")
    file = every_operator(folder / "all.onnx")
    return [answers(file, folder, image(*shape)) for shape in SHAPES]


def test_every_operator_is_in_the_networks(tmp_path: Path) -> None:
    files = (every_operator(tmp_path / "all.onnx"), tail(tmp_path / "tail.onnx"))
    assert {node.kind for file in files for node in read_graph(file).nodes} == set(OPERATORS)


@pytest.mark.parametrize(
    "output",
    [
        "conv", "conv grouped", "conv plain", "up", "up grouped", "norm", "prelu", "prelu shared",
        "relu", "sigmoid", "scaled", "twice", "pool", "pool padded", "resized", "cells", "rows",
        "flat", "one row",
    ],
)  # fmt: skip
def test_computes_what_onnx_runtime_does(compared: list[list[dict[str, Any]]], output: str) -> None:
    for expected, found in compared:
        assert found[output].shape == expected[output].shape
        scale = np.abs(expected[output]).max()
        np.testing.assert_allclose(found[output] / scale, expected[output] / scale, atol=1e-5)


def test_no_output_is_left_out(compared: list[list[dict[str, Any]]]) -> None:
    for expected, found in compared:
        assert len(expected) == 19
        assert list(found) == list(expected)


def test_matrices_of_both_layouts(tmp_path: Path) -> None:
    expected, found = answers(tail(tmp_path / "tail.onnx"), tmp_path, image(3, 4, 32, 32))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


class StandInValues:
    """Constants only: whatever is computed is the text of its name."""

    def __init__(self, **constants: list[Any]) -> None:
        self._constants = {name: np.array(values) for name, values in constants.items()}

    def tensor(self, name: str) -> Any:
        return name

    def constant(self, name: str) -> NDArray[Any]:
        return self._constants[name]

    def weight(self, array: NDArray[Any]) -> Any:
        return array


NEAREST = {
    "mode": b"nearest", "coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor"
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "attributes", "constants", "message"),
    [
        ("Clip", {}, {}, "operator Clip can't be converted"),
        ("Conv", {"auto_pad": b"SAME_UPPER"}, {}, "Conv .* with auto_pad SAME_UPPER"),
        ("ConvTranspose", {"output_shape": [4, 4]}, {}, r"output_shape \[4, 4\]"),
        ("BatchNormalization", {"training_mode": 1}, {}, "training_mode 1"),
        ("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1}, {}, "ceil_mode 1"),
        ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, {}, "dilations"),
        ("Resize", {**NEAREST, "mode": b"linear"}, {}, "mode linear"),
        ("Resize", {**NEAREST, "nearest_mode": b"ceil"}, {}, "nearest_mode ceil"),
        ("Resize", NEAREST, {"c": [1, 1, 1.5, 2]}, "whole factors only"),
        ("Resize", NEAREST, {"c": [1, 2, 2, 2]}, "whole factors only"),
        ("PRelu", {}, {"b": [[[1.0, 2.0]], [[3.0, 4.0]]]}, "slopes that differ by place"),
        ("Gemm", {"alpha": 0.5}, {}, "alpha 0.5"),
        ("Gemm", {"transA": 1}, {}, "transA 1"),
        ("Reshape", {"allowzero": 1}, {}, "allowzero 1"),
        ("Flatten", {"axis": 2}, {}, "axis 2"),
    ],
)
def test_what_is_not_done_is_refused(
    kind: str, attributes: dict[str, Any], constants: dict[str, list[Any]], message: str
) -> None:
    node = Node(kind, ("a", "b", "c"), ("y",), attributes)
    given: dict[str, list[Any]] = {"b": [1.0], "c": [1, 1, 2, 2]}
    with pytest.raises(ModelError, match=message):
        apply(node, StandInValues(**(given | constants)))
