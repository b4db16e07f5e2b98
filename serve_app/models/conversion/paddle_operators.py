"""ONNX's operators in Paddle's words: those that the networks of the zoo are made of.

An attribute that asks for what is not done here is refused: better no network than a wrong one.
Definitions: ONNX's operator reference, opset 21.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import ModelError
from serve_app.models.conversion.onnx_graph import Node


class Values(Protocol):
    """The values of a network under construction: what was computed, or a constant. ``weight``
    makes a parameter of an array: of a constant in another form."""

    def tensor(self, name: str) -> Any: ...

    def constant(self, name: str) -> NDArray[Any]: ...

    def weight(self, array: NDArray[Any]) -> Any: ...


def apply(node: Node, values: Values) -> Any:
    """The node's output in the Paddle program that is being built. Raises ModelError."""
    operator = OPERATORS.get(node.kind)
    if operator is None:
        raise ModelError(f"operator {node.kind} can't be converted to Paddle's form")
    return operator(node, values)


def _convolution(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    _refuse_unless(node, auto_pad=b"NOTSET")
    top, left, bottom, right = node.attributes.get("pads", [0, 0, 0, 0])
    return functional.conv2d(
        values.tensor(node.inputs[0]),
        values.tensor(node.inputs[1]),
        _bias(node, values),
        stride=node.attributes.get("strides", [1, 1]),
        padding=[top, bottom, left, right],
        dilation=node.attributes.get("dilations", [1, 1]),
        groups=node.attributes.get("group", 1),
    )


def _transposed_convolution(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    _refuse_unless(node, auto_pad=b"NOTSET", output_shape=None)
    top, left, bottom, right = node.attributes.get("pads", [0, 0, 0, 0])
    return functional.conv2d_transpose(
        values.tensor(node.inputs[0]),
        values.tensor(node.inputs[1]),
        _bias(node, values),
        stride=node.attributes.get("strides", [1, 1]),
        padding=[top, bottom, left, right],
        output_padding=node.attributes.get("output_padding", [0, 0]),
        dilation=node.attributes.get("dilations", [1, 1]),
        groups=node.attributes.get("group", 1),
    )


def _bias(node: Node, values: Values) -> Any:
    given = len(node.inputs) > 2 and node.inputs[2]
    return values.tensor(node.inputs[2]) if given else None


def _batch_norm(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    _refuse_unless(node, training_mode=0)
    tensor, scale, bias, mean, variance = (values.tensor(name) for name in node.inputs)
    epsilon = node.attributes.get("epsilon", 1e-5)
    return functional.batch_norm(tensor, mean, variance, scale, bias, epsilon=epsilon)


def _prelu(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    slopes = values.constant(node.inputs[1])
    if slopes.ndim > 1 and slopes.size != slopes.shape[0]:
        raise ModelError("operator PRelu can't be converted with slopes that differ by place")
    weight = values.weight(slopes.reshape(-1))
    return functional.prelu(values.tensor(node.inputs[0]), weight)


def _max_pool(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    _refuse_unless(node, auto_pad=b"NOTSET", dilations=[1, 1], ceil_mode=0)
    top, left, bottom, right = node.attributes.get("pads", [0, 0, 0, 0])
    return functional.max_pool2d(
        values.tensor(node.inputs[0]),
        node.attributes["kernel_shape"],
        stride=node.attributes.get("strides", [1, 1]),
        padding=[top, bottom, left, right],
    )


def _resize(node: Node, values: Values) -> Any:
    """Enlarging by whole numbers, each pixel repeated: there all roundings agree."""
    from paddle.nn import functional

    _refuse_unless(
        node, mode=b"nearest", coordinate_transformation_mode=b"asymmetric", nearest_mode=b"floor"
    )
    scales = values.constant(node.inputs[2])
    factors = [int(scale) for scale in scales[2:]]
    if not np.array_equal(scales, [1, 1, *factors]) or len(factors) != 2:
        raise ModelError("operator Resize can be converted with whole factors only")
    return functional.interpolate(
        values.tensor(node.inputs[0]), scale_factor=factors, mode="nearest"
    )


def _matrix(node: Node, values: Values) -> Any:
    import paddle

    _refuse_unless(node, alpha=1.0, beta=1.0, transA=0)
    matrix = values.constant(node.inputs[1])
    if node.attributes.get("transB", 0):
        matrix = np.ascontiguousarray(matrix.T)
    product = paddle.matmul(values.tensor(node.inputs[0]), values.weight(matrix))
    bias = _bias(node, values)
    return product if bias is None else product + bias


def _reshape(node: Node, values: Values) -> Any:
    import paddle

    _refuse_unless(node, allowzero=0)  # 0 copies the dimension, -1 is the rest: Paddle agrees
    shape = values.constant(node.inputs[1]).tolist()
    return paddle.reshape(values.tensor(node.inputs[0]), shape)


def _transpose(node: Node, values: Values) -> Any:
    import paddle

    return paddle.transpose(values.tensor(node.inputs[0]), node.attributes["perm"])


def _flatten(node: Node, values: Values) -> Any:
    import paddle

    _refuse_unless(node, axis=1)
    return paddle.flatten(values.tensor(node.inputs[0]), 1)


def _relu(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    return functional.relu(values.tensor(node.inputs[0]))


def _sigmoid(node: Node, values: Values) -> Any:
    from paddle.nn import functional

    return functional.sigmoid(values.tensor(node.inputs[0]))


def _same(node: Node, values: Values) -> Any:
    return values.tensor(node.inputs[0])


def _refuse_unless(node: Node, **done: object) -> None:
    """Attributes that are there must have the one value that is done here."""
    for name, value in done.items():
        found = node.attributes.get(name, value)
        if found != value:
            found = found.decode() if isinstance(found, bytes) else found
            raise ModelError(f"operator {node.kind} can't be converted with {name} {found}")


OPERATORS: dict[str, Callable[[Node, Values], Any]] = {
    "Add": lambda node, values: values.tensor(node.inputs[0]) + values.tensor(node.inputs[1]),
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Dropout": _same,
    "Flatten": _flatten,
    "Gemm": _matrix,
    "Identity": _same,
    "MaxPool": _max_pool,
    "Mul": lambda node, values: values.tensor(node.inputs[0]) * values.tensor(node.inputs[1]),
    "PRelu": _prelu,
    "Relu": _relu,
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _sigmoid,
    "Sub": lambda node, values: values.tensor(node.inputs[0]) - values.tensor(node.inputs[1]),
    "Transpose": _transpose,
}
