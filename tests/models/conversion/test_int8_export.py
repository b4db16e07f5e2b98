from __future__ import annotations

import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from serve_app.models.conversion import int8_export
from serve_app.models.conversion.int8_export import export
from tests.models.runtime.onnx_networks import content

pytestmark = pytest.mark.skipif(util.find_spec("nncf") is None, reason="NNCF is not installed")


@pytest.mark.parametrize("count", [1, 4, 23])
def test_any_number_of_inputs(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_export, "silence_telemetry", lambda: None)  # for good: not here
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)
    import onnx

    network, inputs, target = (tmp_path / name for name in ("a.onnx", "inputs.npy", "b.onnx"))
    network.write_bytes(content())
    values = np.random.default_rng(count).normal(size=(count, 3, 4, 5)).astype(np.float32)
    np.save(inputs, values)
    export(network, "x", inputs, target)
    kinds = {node.op_type for node in onnx.load(str(target)).graph.node}
    assert "QuantizeLinear" in kinds


def test_nothing_is_reported_to_anybody(tmp_path: Path) -> None:
    """Outside pytest, where NNCF itself is silent; without the switch this finds its reporter."""
    code = (
        "from serve_app.models.conversion.int8_export import silence_telemetry as silence\n"
        "{}\n"
        "from nncf.telemetry.wrapper import NNCFTelemetry, telemetry\n"
        "print(isinstance(telemetry, NNCFTelemetry))"
    )

    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environ["PYTHONPATH"] = os.pathsep.join(sys.path)

    def reports(line: str) -> str:
        run = subprocess.run(
            [sys.executable, "-c", code.format(line)],
            capture_output=True,
            text=True,
            check=True,
            env=environ,
        )
        return run.stdout.strip()

    assert reports("silence()") == "False"
    assert list(tmp_path.iterdir()) == []
    assert reports("") == "True"
