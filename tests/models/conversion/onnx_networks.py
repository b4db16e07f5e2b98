"""ONNX networks for the tests of conversions, made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 21


class NetworkBuilder:
    """A network of one image input ``image.1`` (batch, 4, height, width), node by node."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(3)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._outputs: list[str] = []

    def weights(self, *shape: int, low: float = -1, high: float = 1) -> str:
        return self.constant(self._chance.uniform(low, high, shape).astype(np.float32))

    def constant(self, values: NDArray[Any] | Sequence[int]) -> str:
        name = f"constant {len(self._constants)}"
        array = values if isinstance(values, np.ndarray) else np.array(values, dtype=np.int64)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"value {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def output(self, name: str) -> None:
        self._outputs.append(name)

    def save(self, file: Path, *, constants_as_inputs: bool = False) -> Path:
        image = helper.make_tensor_value_info(
            "image.1", TensorProto.FLOAT, ["batch", 4, "height", "width"]
        )
        listed = [image]
        if constants_as_inputs:  # as files of the first years do
            listed += [
                helper.make_tensor_value_info(c.name, c.data_type, list(c.dims))
                for c in self._constants
            ]
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self._outputs
        ]
        graph = helper.make_graph(self._nodes, "small", listed, outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 10
        onnx.save(model, str(file))
        return file


IMAGE = "image.1"


def every_operator(file: Path) -> Path:
    """Each operator that can be converted, in the forms it is found in; an output for each. More
    outputs than ten, so that an order by name would be another one."""
    network = NetworkBuilder()

    def out(name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        network.output(network.add(kind, *inputs, output=name, **attributes))
        return name

    add, weights, constant = network.add, network.weights, network.constant
    conv = out("conv", "Conv", IMAGE, weights(6, 4, 3, 3), weights(6), pads=[1, 0, 2, 1])
    out("conv grouped", "Conv", IMAGE, weights(8, 1, 3, 3), group=4, strides=[2, 2],
        dilations=[2, 1], pads=[1, 1, 1, 1])  # fmt: skip
    out("conv plain", "Conv", conv, weights(5, 6, 1, 1), "")
    out("up", "ConvTranspose", IMAGE, weights(4, 3, 2, 2), weights(3), strides=[2, 2])
    out("up grouped", "ConvTranspose", IMAGE, weights(4, 2, 3, 3), group=2, strides=[2, 2],
        pads=[1, 1, 1, 1], output_padding=[1, 1])  # fmt: skip
    out("norm", "BatchNormalization", conv, weights(6), weights(6), weights(6),
        weights(6, low=0.1), epsilon=1e-3)  # fmt: skip
    out("prelu", "PRelu", conv, weights(6, 1, 1))
    out("prelu shared", "PRelu", conv, weights(1))
    out("relu", "Relu", conv)
    out("sigmoid", "Sigmoid", conv)
    scaled = add("Mul", add("Sub", IMAGE, constant(np.array(127.5, dtype=np.float32))),
                 constant(np.array([0.0078125], dtype=np.float32)))  # fmt: skip
    out("scaled", "Add", scaled, IMAGE)
    out("twice", "Mul", IMAGE, IMAGE)
    out("pool", "MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2])
    out("pool padded", "MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    out("resized", "Resize", IMAGE, "", constant(np.array([1, 1, 2, 2], dtype=np.float32)),
        mode="nearest", coordinate_transformation_mode="asymmetric",
        nearest_mode="floor")  # fmt: skip
    cells = out("cells", "Transpose", IMAGE, perm=[0, 2, 3, 1])
    out("rows", "Reshape", cells, constant([0, -1, 4]))
    small = add("Conv", IMAGE, weights(2, 4, 8, 8), strides=[8, 8])
    flat = out("flat", "Flatten", add("Identity", add("Dropout", small)))
    out("one row", "Reshape", flat, constant([1, -1]))
    return network.save(file)


def tail(file: Path) -> Path:
    """Gemm in both layouts, with and without a bias, then the normalisation that ends SFace: here
    sizes are fixed."""
    network = NetworkBuilder()
    crop = network.add("Conv", IMAGE, network.weights(2, 4, 16, 16), strides=[16, 16])
    flat = network.add("Flatten", crop)
    first = network.add("Gemm", flat, network.weights(5, 8), network.weights(5), transB=1)
    second = network.add("Gemm", first, network.weights(5, 7))
    network.output(
        network.add(
            "BatchNormalization",
            second,
            *(network.weights(7) for _ in range(3)),
            network.weights(7, low=0.1),
            output="embedding",
        )
    )
    network.output(first)
    return network.save(file, constants_as_inputs=True)
