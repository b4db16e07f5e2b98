from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.runtime.open_vino import OpenVinoSession, has_bf16
from tests.models.runtime.onnx_networks import BROKEN, WEIGHTS, content


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "small.onnx"
    file.write_bytes(content())
    return file


def test_runs_and_leaves_out_what_the_network_does_not_take(model: Path) -> None:
    session = OpenVinoSession(model, Device(), 1)
    assert session.input_names == ("x",)
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    outputs = session.run({"x": x, "im_shape": np.zeros(2, dtype=np.float32)})
    assert list(outputs) == ["y", "sum"]
    expected = np.maximum(np.einsum("oc,nchw->nohw", WEIGHTS[:, :, 0, 0], x), 0)
    np.testing.assert_allclose(outputs["y"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["sum"], expected.sum(), rtol=1e-4)


def test_an_answer_outlives_the_next_run(model: Path) -> None:
    session = OpenVinoSession(model, Device(), 1)
    first = session.run({"x": np.ones((1, 3, 2, 2), dtype=np.float32)})["y"]
    before = first.copy()
    session.run({"x": np.full((1, 3, 2, 2), -5, dtype=np.float32)})
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_named(tmp_path: Path, broken: bytes) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(broken)
    message = r"^broken\.onnx can't be loaded by OpenVINO: \S"
    with pytest.raises(ModelError, match=message) as raised:
        OpenVinoSession(file, Device(), 1)
    assert str(tmp_path) not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_inputs_that_do_not_fit(model: Path) -> None:
    session = OpenVinoSession(model, Device(), 1)
    with pytest.raises(ModelError, match=r"^small\.onnx can't be run by OpenVINO: "):
        session.run({"x": np.zeros((1, 4, 5, 5), dtype=np.float32)})


def test_bf16_where_the_processor_has_it(model: Path) -> None:
    if not has_bf16(Device()):
        pytest.skip("OpenVINO finds no bf16 on this processor")
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    exact, rounded = (
        OpenVinoSession(model, Device(), 1, bf16=bf16).run({"x": x})["y"] for bf16 in (False, True)
    )
    assert 0 < np.abs(exact - rounded).max() < 0.05
    np.testing.assert_allclose(exact, rounded, rtol=0.02, atol=0.02)


def test_no_bf16_where_openvino_has_no_devices() -> None:
    assert not has_bf16(Device("gpu", 0))
