"""Expanded weights compute what the quantised file says; the cache holds whole files only."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from serve_app.config.device import Device
from serve_app.models.conversion.dequantise import dequantised, expand_weights, free_batch_and_size
from serve_app.models.runtime import Session, open_session
from serve_app.models.zoo.packaged import packaged_file
from serve_app.models.zoo.table import SFACE, YUNET, PackagedModel

FOLDED = {"DequantizeLinear", "Reshape"}


class Weights:
    """Quantised constants of a small network and the nodes that expand them."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(5)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def add(self, name: str, shape: list[int], scales: list[int], **attributes: int) -> None:
        quantised = self._chance.integers(-128, 128, shape).astype(np.int8)
        self._constant(f"{name}_q", quantised)
        self._constant(f"{name}_s", self._chance.uniform(0.01, 0.1, scales).astype(np.float32))
        self._constant(f"{name}_z", self._chance.integers(-9, 9, scales).astype(np.int8))
        inputs = [f"{name}_{part}" for part in "qsz"]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], **attributes))

    def reshape(self, name: str, target: str, shape: list[int]) -> None:
        self._constant(f"{target}_shape", np.array(shape, dtype=np.int64))
        self.nodes.append(helper.make_node("Reshape", [name, f"{target}_shape"], [target]))

    def _constant(self, name: str, values: NDArray[Any]) -> None:
        self.tensors.append(numpy_helper.from_array(values, name))


def network() -> onnx.ModelProto:
    """Two convolutions and a matrix: blocks along either axis, the last one shorter; one scale for
    a channel; one scale for all; a Reshape of weights and one of activations, which must stay."""
    weights = Weights()
    weights.add("blocks", [8, 27], [8, 6], axis=1, block_size=5)
    weights.reshape("blocks", "first", [8, 3, 3, 3])
    weights.add("bias", [8], [1], axis=0, block_size=8)
    weights.add("second", [6, 8, 1, 1], [6], axis=0)
    weights.add("whole", [24, 4], [])
    nodes = [
        *weights.nodes,
        helper.make_node("Conv", ["image", "first", "bias"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "second"], ["b"]),
        helper.make_node("Reshape", ["b", "cells"], ["c"]),
        helper.make_node("MatMul", ["c", "whole"], ["d"]),
    ]
    weights.tensors.append(numpy_helper.from_array(np.array([1, -1, 24], np.int64), "cells"))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("d", TensorProto.FLOAT, [1, 16, 4])],
        weights.tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 6  # as the real files say
    return model


IMAGE = np.random.default_rng(6).normal(size=(1, 3, 8, 8)).astype(np.float32)


def answer(model: onnx.ModelProto) -> NDArray[np.float32]:
    (output,) = ReferenceEvaluator(model).run(None, {"image": IMAGE})
    return np.asarray(output)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "small.onnx"
    onnx.save(network(), str(file))
    return file


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --- the numbers ---


def test_equals_the_reference_evaluator() -> None:
    model = network()
    expected = answer(model)
    expand_weights(model)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Conv", "Reshape", "MatMul"]
    np.testing.assert_allclose(answer(model), expected, rtol=1e-5, atol=1e-4)
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(
    ("shape", "scales", "attributes"),
    [
        ([4, 12], [4, 3], {"axis": 1, "block_size": 4}),
        ([4, 12], [4, 3], {"axis": 1, "block_size": 5}),
        ([4, 12], [4, 2], {"axis": -1, "block_size": 11}),
        ([9, 3], [3, 3], {"axis": 0, "block_size": 4}),
        ([2, 7, 3], [2, 2, 3], {"axis": 1, "block_size": 6}),
        ([5, 4], [4], {"axis": 1}),
        ([5, 4], [4], {}),
        ([5, 4], [5], {"axis": 0}),
        ([3, 2, 4], [3], {"axis": -3}),
        ([5, 4], [], {}),
    ],
)
def test_each_form_of_scales_equals_the_reference_evaluator(
    shape: list[int], scales: list[int], attributes: dict[str, int]
) -> None:
    weights = Weights()
    weights.add("weights", shape, scales, **attributes)
    graph = helper.make_graph(
        [*weights.nodes, helper.make_node("Identity", ["weights"], ["out"])],
        "one",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        weights.tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    (expected,) = ReferenceEvaluator(model).run(None, {})
    expand_weights(model)
    (found,) = (tensor for tensor in model.graph.initializer if tensor.name == "weights")
    values = numpy_helper.to_array(found)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_nothing_that_is_not_used_stays() -> None:
    model = network()
    expand_weights(model)
    kept = {tensor.name for tensor in model.graph.initializer}
    assert kept == {"first", "bias", "second", "whole", "cells"}


def test_batch_and_size_may_vary_afterwards() -> None:
    model = network()
    expand_weights(model)
    free_batch_and_size(model)
    images = np.concatenate([IMAGE, IMAGE + 1, IMAGE - 1])
    (together,) = ReferenceEvaluator(model).run(None, {"image": images})
    assert np.asarray(together).shape == (3, 16, 4)
    np.testing.assert_allclose(np.asarray(together)[:1], answer(network()), rtol=1e-5, atol=1e-4)
    wide = np.zeros((1, 3, 8, 16), dtype=np.float32)
    assert np.asarray(ReferenceEvaluator(model).run(None, {"image": wide})[0]).shape == (1, 32, 4)


# --- the cache ---


def test_is_converted_once(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    target = dequantised(source, digest(source), cache)
    first = target.stat()
    np.testing.assert_allclose(
        answer(onnx.load(str(target))), answer(network()), rtol=1e-5, atol=1e-4
    )
    assert dequantised(source, digest(source), cache) == target
    assert target.stat().st_ino == first.st_ino


def test_another_source_has_another_file(source: Path, tmp_path: Path) -> None:
    assert dequantised(source, "a" * 64, tmp_path) != dequantised(source, "b" * 64, tmp_path)


def spoil_a_byte(target: Path) -> None:
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)


def cut(target: Path) -> None:
    target.write_bytes(target.read_bytes()[:-10])


def forget_digest(target: Path) -> None:
    target.with_suffix(".sha256").unlink()


def spoil_digest(target: Path) -> None:
    target.with_suffix(".sha256").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("spoil", [spoil_a_byte, cut, forget_digest, spoil_digest, Path.unlink])
def test_a_spoilt_cache_is_repaired(source: Path, tmp_path: Path, spoil: Any) -> None:
    target = dequantised(source, digest(source), tmp_path)
    good = target.read_bytes()
    spoil(target)
    assert dequantised(source, digest(source), tmp_path) == target
    assert target.read_bytes() == good
    assert target.with_suffix(".sha256").read_text(encoding="ascii") == digest(target)


def test_a_write_that_fails_leaves_nothing_behind(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    def full(_: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            dequantised(source, digest(source), cache)
    assert [file.suffix for file in cache.iterdir() if file.suffix != ".lock"] == []
    assert dequantised(source, digest(source), cache).exists()
    assert not list(cache.glob(".part-*"))


CONVERT = """
import sys
from pathlib import Path
from serve_app.config.device import Device
from serve_app.models.conversion.dequantise import dequantised
sys.stdin.readline()
target = dequantised(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
print(target.stat().st_ino, len(target.read_bytes()))
"""


def test_several_processes_convert_once(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", CONVERT, str(source), digest(source), str(cache)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(set(outputs)) == 1, "each write makes a new file: one inode, one conversion"
    (target,) = cache.glob("*.onnx")
    assert target.with_suffix(".sha256").read_text(encoding="ascii") == digest(target)
    assert not list(cache.glob(".part-*"))


# --- the real files ---


@pytest.mark.models
@pytest.mark.parametrize("packaged", [YUNET, SFACE], ids=lambda packaged: packaged.name)
def test_every_real_weight_equals_the_reference_evaluator(
    packaged: PackagedModel, cache_dir: Path
) -> None:
    file = packaged_file(packaged)
    source = onnx.load(str(file))
    expanded = onnx.load(str(dequantised(file, packaged.digest, cache_dir)))
    constants = {tensor.name for tensor in source.graph.initializer}
    nodes = []
    for node in source.graph.node:
        if node.op_type in FOLDED and constants.issuperset(node.input):
            nodes.append(node)
            constants.update(node.output)
    names = {name for node in nodes for name in node.output}
    weights = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in expanded.graph.initializer
        if tensor.name in names
    }
    assert len(weights) > 20
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(values.shape))
        for name, values in weights.items()
    ]
    graph = helper.make_graph(nodes, "weights", [], outputs, list(source.graph.initializer))
    alone = helper.make_model(graph, opset_imports=source.opset_import)
    expected = ReferenceEvaluator(alone).run(None, {})
    for found, wanted in zip(weights.values(), expected, strict=True):
        np.testing.assert_allclose(found, np.asarray(wanted), rtol=1e-6)
    assert not [node for node in expanded.graph.node if node.op_type == "DequantizeLinear"]


@pytest.mark.models
@pytest.mark.parametrize(
    ("packaged", "shape"), [(YUNET, (1, 3, 96, 160)), (YUNET, (2, 3, 64, 64)), (SFACE, None)]
)
def test_real_networks_agree_in_both_runtimes(
    packaged: PackagedModel, shape: tuple[int, ...] | None, cache_dir: Path
) -> None:
    file = dequantised(packaged_file(packaged), packaged.digest, cache_dir)
    image = np.random.default_rng(7).uniform(0, 255, shape or (3, 3, 112, 112))
    tensor = image.astype(np.float32)

    def run(session: Session) -> dict[str, NDArray[Any]]:
        return session.run({session.input_names[0]: tensor})

    one, other = (
        run(open_session(file, runtime=runtime, device=Device(), threads=1, cache_dir=cache_dir))
        for runtime in ("onnxruntime", "openvino")
    )
    assert one.keys() == other.keys()
    assert len(one) == (12 if packaged is YUNET else 1)
    for name, values in one.items():
        assert len(values) == len(tensor)
        assert np.isfinite(values).all()
        np.testing.assert_allclose(values, other[name], rtol=1e-3, atol=1e-3, err_msg=name)
