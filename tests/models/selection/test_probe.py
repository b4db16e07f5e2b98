from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from serve_app.config.device import Device
from serve_app.models.child import Child
from serve_app.models.network import Network
from serve_app.models.selection import probe
from serve_app.models.selection.forms import RunOptions
from tests.models.conversion.onnx_networks import IMAGE, NetworkBuilder
from tests.models.stand_ins import FunctionSession


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    """Names of any form: ``file`` and ``a/b`` could not be members of an archive."""
    tensors = {
        "file": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a/b": np.array([3], dtype=np.int32),
        "input.1": np.zeros((0, 6), dtype=np.float32),
    }
    probe.write_tensors(tmp_path / "x.npz", tensors)
    found = probe.read_tensors(tmp_path / "x.npz")
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
    probe.write_tensors(tmp_path / "none.npz", {})
    assert probe.read_tensors(tmp_path / "none.npz") == {}


def test_a_turn_lasts_and_its_first_run_does_not_count() -> None:
    calls = []

    def network(x: np.ndarray) -> dict[str, np.ndarray]:
        calls.append(x)
        time.sleep(0.2 if len(calls) == 1 else 0.01)
        return {"y": x}

    answer = probe.turn(FunctionSession(network), {"x": np.zeros(1)}, 0.1)
    assert 0.01 <= answer["seconds"] < 0.1
    assert len(calls) >= 3
    calls.clear()
    probe.turn(FunctionSession(network), {"x": np.zeros(1)}, 0.001)
    assert len(calls) == 2  # one counts, however long it takes


def test_it_answers_when_the_network_ran_and_once_a_line(tmp_path: Path) -> None:
    builder = NetworkBuilder()
    builder.output(builder.add("Conv", IMAGE, builder.weights(3, 4, 1, 1), output="head"))
    image = np.ones((1, 4, 8, 8), dtype=np.float32)
    file = builder.save(tmp_path / "small.onnx")
    network = Network("Small", file, "0", ("onnxruntime",), lambda: {IMAGE: image})
    options = RunOptions("fastest", Device(), 1, tmp_path / "cache")
    request = tmp_path / "onnxruntime.json"
    probe.write_request(request, network, "onnxruntime", options)
    probe.write_tensors(tmp_path / probe.EXAMPLE, {**network.example(), "scale": image})
    assert json.loads(request.read_text())["threads"] == 1
    with Child(probe.__name__, [str(request)], 60) as child:
        assert child.answer(60) == {}
        outputs = probe.read_tensors(request.with_suffix(".npz"))
        assert outputs["head"].shape == (1, 3, 8, 8)
        for _ in range(2):
            assert 0 < child.ask("0.01", 60)["seconds"] < 10
