"""Files that Paddle wrote are read to the last byte; what is cut or changed is refused."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.errors import ModelError
from serve_app.models.conversion.paddle_module import import_paddle
from serve_app.models.conversion.pdiparams import SIZES, stored_tensors, write_float32

NUMPY = {"FP32": np.float32, "FP16": np.float16, "INT64": np.int64, "BOOL": np.bool_}


def record(
    values: NDArray[Any], kind: str, levels: tuple[bytes, ...] = (), shape: Any = None
) -> bytes:
    proto = import_paddle("paddle.base.proto.framework_pb2").VarType
    described = proto.TensorDesc(
        data_type=proto.Type.Value(kind), dims=values.shape if shape is None else shape
    ).SerializeToString()
    parts = [struct.pack("<IQ", 0, len(levels))]
    parts += [struct.pack("<Q", len(level)) + level for level in levels]
    parts += [struct.pack("<Ii", 0, len(described)), described, values.tobytes()]
    return b"".join(parts)


HALF = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float16)
COUNTS = np.array([3, -4, 1 << 40])
SCALAR = np.array(2.5, dtype=np.float16)
RECORDS = (
    record(COUNTS, "INT64"),
    record(HALF, "FP16", (b"12345678", b"abcdefgh12345678")),
    record(SCALAR, "FP16"),
    record(np.zeros((0, 5), np.float32), "FP32"),
)


def file_of(folder: Path, content: bytes) -> Path:
    directory = folder / "Net"
    directory.mkdir(exist_ok=True)
    file = directory / "inference.pdiparams"
    file.write_bytes(content)
    return file


def declared(network: Path) -> dict[str, list[int]]:
    """Parameters as the program declares them: an independent list of what the file must hold."""
    program = json.loads(network.read_bytes())
    operators = program["program"]["regions"][0]["blocks"][0]["ops"]
    return {o["A"][3]: o["O"]["TT"]["D"][1] for o in operators if o["#"] == "p"}


# --- reading ---


@pytest.mark.parametrize(("form", "kind"), [("json32", "FP32"), ("json_half", "FP16")])
def test_paddles_own_file(paddle_forms: Path, form: str, kind: str) -> None:
    tensors = stored_tensors(paddle_forms / form / "inference.pdiparams")
    parameters = declared(paddle_forms / form / "inference.json")
    assert len(tensors) == 26
    assert [tensor.type for tensor in tensors] == [kind] * 26
    assert [list(tensor.shape) for tensor in tensors] == [
        shape for _, shape in sorted(parameters.items())
    ]


def test_each_field_of_a_record(tmp_path: Path) -> None:
    counts, half, scalar, empty = stored_tensors(file_of(tmp_path, b"".join(RECORDS)))
    assert (counts.type, counts.shape, counts.start, counts.size) == ("INT64", (3,), 0, 24)
    assert (half.type, half.shape, half.size) == ("FP16", (4, 3), 24)
    assert half.start == len(RECORDS[0])
    assert half.description - half.start == 12 + 16 + 24 + 4
    assert half.values == half.start + len(RECORDS[1]) - 24
    assert (scalar.type, scalar.shape, scalar.size) == ("FP16", (), 2)
    assert (empty.type, empty.shape, empty.size) == ("FP32", (0, 5), 0)


def test_every_type_that_a_tensor_can_have_here_is_known() -> None:
    kinds = import_paddle("paddle.base.proto.framework_pb2").VarType.Type.keys()
    assert SIZES.keys() <= set(kinds)
    for kind, numpy_type in NUMPY.items():
        assert SIZES[kind] == np.dtype(numpy_type).itemsize


# --- fp32 ---


def written(parameters: Path) -> bytes:
    target = io.BytesIO()
    write_float32(parameters, target)
    return target.getvalue()


def test_a_file_in_fp32_is_written_as_it_is(paddle_forms: Path) -> None:
    file = paddle_forms / "json32" / "inference.pdiparams"
    assert written(file) == file.read_bytes()


def test_fp16_becomes_fp32_and_nothing_else_changes(tmp_path: Path) -> None:
    content = written(file_of(tmp_path, b"".join(RECORDS)))
    assert content == b"".join(
        [
            RECORDS[0],
            record(HALF.astype(np.float32), "FP32", (b"12345678", b"abcdefgh12345678")),
            record(SCALAR.astype(np.float32), "FP32"),
            RECORDS[3],
        ]
    )


def test_no_fp16_number_is_lost(tmp_path: Path) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    file = file_of(tmp_path, record(every, "FP16"))
    target = file_of(tmp_path, written(file))
    (tensor,) = stored_tensors(target)
    found = np.frombuffer(target.read_bytes(), np.float32, offset=tensor.values)
    np.testing.assert_array_equal(found.astype(np.float16), every)


# --- damage ---


def test_a_file_that_is_cut_anywhere_but_between_records_is_refused(tmp_path: Path) -> None:
    whole = b"".join(RECORDS)
    ends = {sum(map(len, RECORDS[:count])) for count in range(1, len(RECORDS) + 1)}
    for length in range(len(whole)):
        file = file_of(tmp_path, whole[:length])
        if length in ends:
            stored_tensors(file)  # Paddle misses the record: test_opening
            continue
        with pytest.raises(ModelError, match=r"^Net/inference\.pdiparams is cut short or damaged"):
            stored_tensors(file)


@pytest.mark.parametrize("cut", [1, 2, 1000, 100_000])
def test_paddles_own_file_cut(paddle_forms: Path, tmp_path: Path, cut: int) -> None:
    content = (paddle_forms / "json32" / "inference.pdiparams").read_bytes()
    with pytest.raises(ModelError, match="cut short or damaged; fetch it again"):
        stored_tensors(file_of(tmp_path, content[:-cut]))


NONSENSE = {
    "empty": b"",
    "a byte": b"\0",
    "zeros": b"\0" * 100,
    "ones": b"\xff" * 100,
    "a page": b"<html>Not found</html>" * 40,
    "a byte more": RECORDS[0] + b"\0",
    "text behind": RECORDS[0] + b"x" * 40,
    "record of version 1": b"\x01" + RECORDS[0][1:],
    "levels without end": RECORDS[0][:4] + b"\xff" * 8 + RECORDS[0][12:],
    "tensor of version 1": RECORDS[0][:12] + b"\x01" + RECORDS[0][13:],
    "negative description": RECORDS[0][:16] + struct.pack("<i", -1) + RECORDS[0][20:],
    "long description": RECORDS[0][:16] + struct.pack("<i", 1 << 30) + RECORDS[0][20:],
    "more values than there are": record(COUNTS, "INT64", shape=(4,)),
    "negative shape": record(COUNTS, "INT64", shape=(-3,)),
    "immense shape": record(COUNTS, "INT64", shape=(1 << 62, 1 << 62)),
    "no type of tensor": record(COUNTS, "LOD_RANK_TABLE"),
}


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE.keys())
def test_what_is_no_parameter_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match="cut short or damaged"):
        stored_tensors(file_of(tmp_path, content))
