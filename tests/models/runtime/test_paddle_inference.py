from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.runtime import open_session
from serve_app.models.runtime.paddle_inference import paddle_files
from tests.conformance.replay import DATA

PADDLE = DATA / "models"


def test_paddle_runs_the_stand_in_of_mobilefacenets_form() -> None:
    session = open_session(PADDLE / "toy_rec", runtime="paddle", device=Device(), threads=1)
    assert session.input_names == ("x",)
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(3, 3, 112, 112)).astype(np.float32)
    (together,) = session.run({"x": batch}).values()
    assert together.shape == (3, 128)
    for row, one in zip(together, batch, strict=True):
        (alone,) = session.run({"x": one[np.newaxis].copy()}).values()
        np.testing.assert_allclose(alone[0], row, rtol=1e-4, atol=1e-4)


def test_paddle_runs_the_stand_in_of_blazefaces_form() -> None:
    session = open_session(PADDLE / "toy_det", runtime="paddle", device=Device(), threads=1)
    assert set(session.input_names) == {"im_shape", "image", "scale_factor"}
    for height, width in ((320, 480), (160, 160), (480, 320)):
        outputs = session.run(
            {
                "im_shape": np.array([[height, width]], dtype=np.float32),
                "image": np.zeros((1, 3, height, width), dtype=np.float32),
                "scale_factor": np.ones((1, 2), dtype=np.float32),
            }
        )
        boxes = next(iter(outputs.values()))
        assert boxes.shape == (height // 160 * (width // 160), 6)


def test_both_forms_of_a_paddle_directory_are_found(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"needs inference\.pdiparams and"):
        paddle_files(tmp_path)
    (tmp_path / "inference.pdiparams").touch()
    with pytest.raises(ModelError):
        paddle_files(tmp_path)
    (tmp_path / "inference.pdmodel").touch()
    assert paddle_files(tmp_path)[0].name == "inference.pdmodel"
    (tmp_path / "inference.json").touch()  # the newer form is preferred
    assert paddle_files(tmp_path)[0].name == "inference.json"
