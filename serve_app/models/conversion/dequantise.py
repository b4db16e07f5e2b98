"""Weight-only block-quantised ONNX files to plain fp32, once, into the cache.

The embedded YuNet and SFace store their weights as int8 blocks behind ``DequantizeLinear`` with a
``block_size``. No runtime here loads them as they are (docs/decisions/0003), so the weights are
expanded ahead of time. Activations were never quantised: the answer is that of the fp32 network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from serve_app.models.atomic import write_atomically

if TYPE_CHECKING:
    import onnx

CONVERTER_VERSION = 1
"""Part of the cached file's name: raise it when the conversion's result changes."""


def dequantised(source: Path, source_digest: str, cache_dir: Path) -> Path:
    """Path of the fp32 form of ``source``, converted at the first call on this machine.

    Safe with several processes at once: one converts, the others wait; the file appears whole or
    not at all. A cached file whose digest changed is converted again.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    target = cache_dir / f"{source.stem}-{source_digest[:12]}-fp32-v{CONVERTER_VERSION}.onnx"
    digest_file = target.with_suffix(".sha256")
    with FileLock(target.with_suffix(".lock")):
        if not _is_whole(target, digest_file):
            content = _convert(source)
            write_atomically(target, content)
            write_atomically(digest_file, hashlib.sha256(content).hexdigest().encode())
    return target


def _is_whole(target: Path, digest_file: Path) -> bool:
    if not (target.exists() and digest_file.exists()):
        return False
    expected = digest_file.read_text(encoding="ascii", errors="replace").strip()
    return hashlib.sha256(target.read_bytes()).hexdigest() == expected


def _convert(source: Path) -> bytes:
    import onnx

    model = onnx.load(str(source))
    expand_weights(model)
    free_batch_and_size(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def expand_weights(model: onnx.ModelProto) -> None:
    """Fold each ``DequantizeLinear`` of constants, and a ``Reshape`` behind it, in place."""
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {i.name: i for i in graph.initializer}
    kept = []
    for node in graph.node:
        foldable = all(name in constants for name in node.input)
        if node.op_type == "DequantizeLinear" and foldable:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            values = _dequantise_blocks(
                *(numpy_helper.to_array(constants[name]) for name in node.input),
                axis=attributes.get("axis", 1),
                block_size=attributes.get("block_size", 0),
            )
        elif node.op_type == "Reshape" and foldable:
            tensor, shape = (numpy_helper.to_array(constants[name]) for name in node.input)
            values = tensor.reshape(shape)
        else:
            kept.append(node)
            continue
        constants[node.output[0]] = numpy_helper.from_array(
            np.ascontiguousarray(values), node.output[0]
        )
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensor for name, tensor in constants.items() if name in used)
    inputs = [i for i in graph.input if i.name in used and i.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 10)  # opset 21 asks for it; the files say 6


def free_batch_and_size(model: onnx.ModelProto) -> None:
    """Let batch, height and width vary: the files fix them, the networks don't need it."""
    from onnx import numpy_helper

    graph = model.graph
    for value in graph.input:
        _, _, height, width = value.type.tensor_type.shape.dim
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
        if height.dim_value != 112:  # an extractor's crop size is fixed by its last layer
            height.dim_param, width.dim_param = "height", "width"
    for value in graph.output:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim[:-1]):
            dim.dim_param = f"{value.name}_{axis}"
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor).copy()
            shape[0] = 0  # ONNX: copy this dimension from the input
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _dequantise_blocks(
    quantised: NDArray[Any],
    scales: NDArray[Any],
    zero_points: NDArray[Any],
    *,
    axis: int,
    block_size: int,
) -> NDArray[np.float32]:
    """(q - zero point) * scale, each block of ``block_size`` along ``axis`` with its own pair.

    ONNX operator DequantizeLinear, opset 21. The last block may be shorter.
    """
    if block_size:
        length = quantised.shape[axis]
        scales, zero_points = (
            np.take(np.repeat(part, block_size, axis=axis), range(length), axis=axis)
            for part in (scales, zero_points)
        )
    elif scales.ndim == 1:
        per_axis = [1] * quantised.ndim
        per_axis[axis] = -1
        scales, zero_points = scales.reshape(per_axis), zero_points.reshape(per_axis)
    centred = quantised.astype(np.float32) - zero_points.astype(np.float32)
    return np.asarray(centred * scales.astype(np.float32), dtype=np.float32)
