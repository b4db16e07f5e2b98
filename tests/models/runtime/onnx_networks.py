"""A small ONNX file, whole and in pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.random.default_rng(0).normal(size=(8, 3, 1, 1)).astype(np.float32)


def content() -> bytes:
    """One 1 x 1 convolution and a ReLU: ``x`` (N, 3, H, W) to ``y`` and ``sum``."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "weights"], ["a"]),
            helper.make_node("Relu", ["a"], ["y"]),
            helper.make_node("ReduceSum", ["y"], ["sum"], keepdims=0),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, "h", "w"]),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, []),
        ],
        [numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def _with(change: Callable[[onnx.ModelProto], None]) -> bytes:
    model = onnx.ModelProto.FromString(content())
    change(model)
    return bytes(model.SerializeToString())


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Nonsense"


def _short_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-8]


BROKEN = {
    "half": content()[: len(content()) // 2],
    "a little less": content()[:-5],
    "empty": b"",
    "a page": b"<html>Not found</html>" * 10,
    "an unknown operator": _with(_unknown_operator),
    "weights that are cut": _with(_short_weights),
}
