"""The other process's side of ``to_paddle``: here only what it refuses, as static graphs would stay
switched on for the tests after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.models.child import ChildError, run_child
from serve_app.models.conversion import paddle_export
from tests.models.conversion.onnx_networks import IMAGE, NetworkBuilder


def test_a_network_whose_weights_are_computed_is_refused(tmp_path: Path) -> None:
    network = NetworkBuilder()
    shape = network.add("Identity", network.constant([1, -1]))
    network.output(network.add("Reshape", IMAGE, shape))
    file = network.save(tmp_path / "computed.onnx")
    with pytest.raises(ChildError, match="value 0 is computed where only a constant"):
        run_child(paddle_export.__name__, [str(file), str(tmp_path)], 60)
    assert list(tmp_path.iterdir()) == [file]
