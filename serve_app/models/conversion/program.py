"""The network file of a Paddle directory, and the same with fp32 where it says fp16.

Two forms: ``inference.json`` (PIR, Paddle 3) and ``inference.pdmodel`` (``ProgramDesc`` of Paddle's
``framework.proto``). In both every fp16 is a declaration: the type of a value, or an attribute that
names the type an operator makes. Changing all of them alike leaves a program that agrees with
itself; casts between the two become copies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve_app.errors import ModelError
from serve_app.models.conversion.paddle_module import import_paddle

PROTO = "paddle.base.proto.framework_pb2"


def float32_program(network: Path) -> bytes | None:
    """The file's content with fp32 for fp16; None where it says fp16 nowhere.

    Raises ModelError for a ``.pdmodel`` that is none: given one, Paddle ends the process with
    SIGSEGV. A broken ``.json`` without fp16 is left for Paddle to refuse.
    """
    content, damaged = _read(network)
    if network.suffix == ".json":
        return _float32_json(content, damaged)
    return _float32_pdmodel(content, damaged)


def input_shapes(network: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each input as the network declares it; -1 where it may be any.

    Raises ModelError where the file is cut short or damaged.
    """
    content, damaged = _read(network)
    if network.suffix == ".json":
        return dict(_json_inputs(_parsed_json(content, damaged)))
    block = _parsed_pdmodel(content, damaged).blocks[0]
    feeds = [op for op in block.ops if op.type == "feed"]
    fed = {name for op in feeds for output in op.outputs for name in output.arguments}
    return {
        variable.name: tuple(variable.type.dense_tensor.tensor.dims)
        for variable in block.vars
        if variable.name in fed
    }


def _read(network: Path) -> tuple[bytes, ModelError]:
    name = f"{network.parent.name}/{network.name}"
    return network.read_bytes(), ModelError(f"{name} is cut short or damaged; fetch it again")


def _parsed_json(content: bytes, damaged: ModelError) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise damaged from None


def _json_inputs(program: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    for node in _nodes(program):
        if str(node.get("#", "")).endswith((".data", ".feed")):
            (name,) = (a["AT"]["D"] for a in node["A"] if a["N"] == "name")
            _, dims, *_ = node["O"][0]["TT"]["D"]
            yield name, tuple(dims)


def _float32_json(content: bytes, damaged: ModelError) -> bytes | None:
    if b't_f16"' not in content and b'"float16"' not in content:
        return None
    program = _parsed_json(content, damaged)
    for node in _nodes(program):
        kind = str(node.get("#", ""))  # "0.t_f32": dialect, then type or attribute
        if kind.endswith(".t_f16"):
            node["#"] = kind.removesuffix("16") + "32"
        elif kind.endswith(".a_dtype") and node.get("D") == "float16":
            node["D"] = "float32"
    return json.dumps(program, separators=(",", ":")).encode()


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _float32_pdmodel(content: bytes, damaged: ModelError) -> bytes | None:
    program = _parsed_pdmodel(content, damaged)
    proto = import_paddle(PROTO)
    half, single = proto.VarType.FP16, proto.VarType.FP32
    changed = False
    for block in program.blocks:
        for variable in block.vars:
            tensor = variable.type.dense_tensor.tensor
            if variable.type.HasField("dense_tensor") and tensor.data_type == half:
                tensor.data_type = single
                changed = True
        for op in block.ops:
            for attribute in op.attrs:  # dtype, in_dtype, out_dtype: numbers of VarType
                if (
                    attribute.name.endswith("dtype")
                    and attribute.type == proto.INT
                    and attribute.i == half
                ):
                    attribute.i = single
                    changed = True
    return bytes(program.SerializeToString()) if changed else None


def _parsed_pdmodel(content: bytes, damaged: ModelError) -> Any:
    program = import_paddle(PROTO).ProgramDesc()
    try:
        program.ParseFromString(content)
    except Exception:  # DecodeError, of whichever protobuf Paddle found
        raise damaged from None
    # Protobuf skips what it doesn't know: almost any bytes are an empty program.
    if not {"feed", "fetch"} <= {op.type for block in program.blocks for op in block.ops}:
        raise damaged
    return program
