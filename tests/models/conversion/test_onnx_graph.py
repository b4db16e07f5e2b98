from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serve_app.models.conversion.onnx_graph import read_graph
from tests.models.conversion.onnx_networks import IMAGE, every_operator, tail


def test_inputs_are_what_is_computed_with_and_no_constant(tmp_path: Path) -> None:
    graph = read_graph(tail(tmp_path / "tail.onnx"))  # lists its weights as inputs too
    assert graph.inputs == {IMAGE: (None, 4, None, None)}
    assert graph.outputs == ("embedding", "value 2")


def test_nodes_come_in_their_order_with_their_attributes(tmp_path: Path) -> None:
    graph = read_graph(every_operator(tmp_path / "all.onnx"))
    first = graph.nodes[0]
    assert (first.kind, first.inputs[0], first.outputs) == ("Conv", IMAGE, ("conv",))
    assert first.attributes["pads"] == [1, 0, 2, 1]
    assert graph.constants[first.inputs[1]].shape == (6, 4, 3, 3)


def test_constant_nodes_and_inputs_without_use(tmp_path: Path) -> None:
    value = numpy_helper.from_array(np.array([2.5], dtype=np.float32))
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["half"], value=value),
            helper.make_node("Add", ["x", "half"], ["y"]),
        ],
        "small",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("batches tracked", TensorProto.INT64, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    onnx.save(helper.make_model(graph), str(tmp_path / "x.onnx"))
    found = read_graph(tmp_path / "x.onnx")
    assert [node.kind for node in found.nodes] == ["Add"]
    assert found.constants["half"].tolist() == [2.5]
    assert found.inputs == {"x": (None, 3)}
