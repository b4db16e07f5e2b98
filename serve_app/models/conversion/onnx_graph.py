"""An ONNX file as plain values: what the way to Paddle's form reads of it. Knows no runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Node:
    """``kind``: ONNX's name of the operator. Inputs left out are empty names."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """``inputs``: the shape by name, None where a dimension varies. ``nodes`` are in an order in
    which they can run, as ONNX asks for."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]


def read_graph(file: Path) -> OnnxGraph:
    """Weights that are listed as inputs, as older files do it, and inputs that nothing uses are
    left out; nodes that hold a constant become one."""
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load(str(file)).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
        else:
            nodes.append(Node(node.op_type, tuple(node.input), tuple(node.output), attributes))
    used = {name for node in nodes for name in node.inputs}
    inputs = {
        value.name: tuple(
            dim.dim_value if dim.HasField("dim_value") else None
            for dim in value.type.tensor_type.shape.dim
        )
        for value in graph.input
        if value.name in used and value.name not in constants
    }
    return OnnxGraph(tuple(nodes), constants, inputs, tuple(o.name for o in graph.output))
