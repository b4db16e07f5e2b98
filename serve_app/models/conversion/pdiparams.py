"""Paddle's parameter file, ``inference.pdiparams``: what is in it, and the same in fp32.

The format is that of Paddle's ``paddle/phi/core/framework/dense_tensor_serialize.cc`` and
``dense_tensor_tostream.cc``, the same for ``.json`` and ``.pdmodel``. Records follow each other
without names, sorted by them; all numbers are little-endian:

====== ==================================================================
uint32 version of the record: 0
uint64 number of LoD levels (0 for parameters), each as uint64 size, bytes
uint32 version of the tensor: 0
int32  size of the description
bytes  description: ``VarType.TensorDesc`` of ``framework.proto``
bytes  values in C order
====== ==================================================================
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from serve_app.errors import ModelError
from serve_app.models.conversion.paddle_module import import_paddle

SIZES = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "INT16": 2, "FP16": 2, "BF16": 2, "INT32": 4, "FP32": 4,
    "INT64": 8, "FP64": 8, "COMPLEX64": 8, "COMPLEX128": 16,
}  # fmt: skip
"""Bytes of a value, by the type's name in ``framework.proto``."""

LARGEST_DESCRIPTION = 4096


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """``start`` is where its record begins in the file, ``description`` where the description's
    size is, ``values`` where the values are; ``size`` is theirs in bytes. ``type``: FP32, ..."""

    type: str
    shape: tuple[int, ...]
    start: int
    description: int
    values: int
    size: int


def stored_tensors(parameters: Path) -> list[StoredTensor]:
    """What the file holds, in its order; the values are not read.

    Raises ModelError where the file is no parameter file, or does not end where its last record
    does. Paddle itself loads a file that is cut inside its last tensor, and answers wrongly.
    """
    damaged = ModelError(
        f"{parameters.parent.name}/{parameters.name} is cut short or damaged; fetch it again"
    )
    end = parameters.stat().st_size
    tensors = []
    with parameters.open("rb") as file:
        while file.tell() < end:
            try:
                tensor = _read_record(file)
            except (struct.error, ValueError, KeyError):
                raise damaged from None
            if tensor.values + tensor.size > end:
                raise damaged
            tensors.append(tensor)
            file.seek(tensor.values + tensor.size)
    if not tensors:
        raise damaged
    return tensors


def write_float32(parameters: Path, target: BinaryIO) -> None:
    """The file once more, its fp16 tensors as fp32, all else as it is."""
    with parameters.open("rb") as file:
        for tensor in stored_tensors(parameters):
            file.seek(tensor.start)
            if tensor.type == "FP16":
                target.write(file.read(tensor.description - tensor.start))
                target.write(_description("FP32", tensor.shape))
                file.seek(tensor.values)
                values = np.frombuffer(file.read(tensor.size), dtype="<f2")
                target.write(values.astype("<f4").tobytes())
            else:
                target.write(file.read(tensor.values + tensor.size - tensor.start))


def _read_record(file: BinaryIO) -> StoredTensor:
    """Raises struct.error where the file ends too early, ValueError or KeyError for nonsense."""
    start = file.tell()
    version, levels = _unpack(file, "<IQ")
    if version != 0 or levels > 16:
        raise ValueError("no record")
    for _ in range(levels):
        (size,) = _unpack(file, "<Q")
        file.seek(size, 1)
    (version,) = _unpack(file, "<I")
    description = file.tell()
    (length,) = _unpack(file, "<i")
    if version != 0 or not 0 < length <= LARGEST_DESCRIPTION:
        raise ValueError("no tensor")
    content = file.read(length)
    if len(content) < length:
        raise ValueError("cut")
    parsed = _proto().VarType.TensorDesc()
    try:
        parsed.ParseFromString(content)
    except Exception as error:  # DecodeError, of whichever protobuf Paddle found
        raise ValueError("no description") from error
    shape = tuple(int(dim) for dim in parsed.dims)
    if any(dim < 0 for dim in shape):
        raise ValueError("no shape")
    name = _proto().VarType.Type.Name(parsed.data_type)
    return StoredTensor(
        name, shape, start, description, file.tell(), SIZES[name] * math.prod(shape)
    )


def _unpack(file: BinaryIO, form: str) -> Iterator[int]:
    return iter(struct.unpack(form, file.read(struct.calcsize(form))))


def _description(type_name: str, shape: tuple[int, ...]) -> bytes:
    described = _proto().VarType.TensorDesc(
        data_type=_proto().VarType.Type.Value(type_name), dims=shape
    )
    content = described.SerializeToString()
    return struct.pack("<i", len(content)) + bytes(content)


def _proto() -> Any:
    return import_paddle("paddle.base.proto.framework_pb2")
