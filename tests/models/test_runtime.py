from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import ConfigError, ModelError
from serve_app.models import runtime
from serve_app.models.runtime import choose_runtime, open_session, paddle_files
from tests.conformance.replay import DATA

ONNX = Path("network.onnx")
PADDLE = DATA / "models"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    names = {"paddle", "onnxruntime", "openvino"}
    monkeypatch.setattr(runtime, "is_installed", lambda name: name in names)
    return names


def test_auto_takes_the_first_preferred_that_is_installed(installed: set[str]) -> None:
    preferred = ("openvino", "onnxruntime")
    assert choose_runtime(ONNX, runtime="auto", preferred=preferred) == "openvino"
    installed.remove("openvino")
    assert choose_runtime(ONNX, runtime="auto", preferred=preferred) == "onnxruntime"
    installed.remove("onnxruntime")
    with pytest.raises(ConfigError, match="install one of onnxruntime, openvino"):
        choose_runtime(ONNX, runtime="auto", preferred=preferred)


def test_a_directory_is_paddles(installed: set[str]) -> None:
    assert choose_runtime(Path("model"), runtime="auto", preferred=()) == "paddle"


@pytest.mark.parametrize(
    ("model", "name", "message"),
    [
        (ONNX, "tensorflow", "choose one of auto"),
        (ONNX, "paddle", "can't run an ONNX file; choose auto or onnxruntime or openvino"),
        (Path("model"), "openvino", "can't run a Paddle directory; choose auto or paddle"),
    ],
)
def test_a_choice_that_can_not_be(
    installed: set[str], model: Path, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_runtime(model, runtime=name, preferred=())


def test_a_named_runtime_is_never_replaced(installed: set[str]) -> None:
    installed.remove("onnxruntime")
    with pytest.raises(ConfigError, match="onnxruntime is not installed"):
        choose_runtime(ONNX, runtime="onnxruntime", preferred=("openvino",))


def test_paddle_runs_the_stand_in_of_mobilefacenets_form() -> None:
    session = open_session(PADDLE / "toy_rec", runtime="paddle", preferred=(), threads=1)
    assert session.input_names == ("x",)
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(3, 3, 112, 112)).astype(np.float32)
    (together,) = session.run({"x": batch}).values()
    assert together.shape == (3, 128)
    for row, one in zip(together, batch, strict=True):
        (alone,) = session.run({"x": one[np.newaxis].copy()}).values()
        np.testing.assert_allclose(alone[0], row, rtol=1e-4, atol=1e-4)


def test_paddle_runs_the_stand_in_of_blazefaces_form() -> None:
    session = open_session(PADDLE / "toy_det", runtime="auto", preferred=(), threads=1)
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
