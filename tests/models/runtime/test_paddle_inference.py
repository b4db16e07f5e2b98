from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import PipelineConfig
from serve_app.config.device import KINDS, Device
from serve_app.errors import ModelError
from serve_app.models.runtime.paddle_inference import PaddleSession, configure, paddle_files
from serve_app.models.runtime.session import plain_memory
from serve_app.models.selection.choice import RunOptions, open_network
from serve_app.models.zoo.opening import networks
from tests.conformance.replay import DATA
from tests.models.paddle_networks import INPUT, network_files
from tests.models.runtime.recording import RecordingConfig

PADDLE = DATA / "models"


def open_directory(directory: Path) -> PaddleSession:
    return PaddleSession(*paddle_files(directory), Device(), 1)


# --- running ---


def test_runs_the_stand_in_of_mobilefacenets_form() -> None:
    session = open_directory(PADDLE / "toy_rec")
    assert session.input_names == ("x",)
    assert session.input_memory is plain_memory
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(3, 3, 112, 112)).astype(np.float32)
    (together,) = session.run({"x": batch}).values()
    assert together.shape == (3, 128)
    for row, one in zip(together, batch, strict=True):
        (alone,) = session.run({"x": one[np.newaxis].copy()}).values()
        np.testing.assert_allclose(alone[0], row, rtol=1e-4, atol=1e-4)


def test_runs_the_stand_in_of_blazefaces_form() -> None:
    session = open_directory(PADDLE / "toy_det")
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


@pytest.mark.parametrize("kind", ["json", "pdmodel"])
def test_outputs_come_in_the_networks_order(paddle_forms: Path, kind: str) -> None:
    session = open_directory(paddle_forms / f"{kind}_many")
    x = np.full((1, 3, 112, 112), 2, dtype=np.float32)
    outputs = session.run({"x": x})
    assert [output[0, 0, 0, 0] for output in outputs.values()] == [2 * k for k in range(12)]


def test_both_forms_answer_alike(paddle_forms: Path) -> None:
    one, other = (
        next(iter(open_directory(paddle_forms / form).run({"x": INPUT}).values()))
        for form in ("json32", "pdmodel32")
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_inputs_that_do_not_fit() -> None:
    session = open_directory(PADDLE / "toy_rec")
    with pytest.raises(ModelError, match=r"^toy_rec/inference\.json can't be run by Paddle: \S"):
        session.run({"x": np.zeros((1, 4, 112, 112), dtype=np.float32)})


# --- configuration ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("new_ir", [True, False])
def test_what_every_device_is_told(kind: str, new_ir: bool) -> None:
    config = RecordingConfig()
    configure(config, Device(kind), 3, new_ir=new_ir)
    common = [
        ("set_cpu_math_library_num_threads", 3),
        ("enable_memory_optim",),
        ("disable_glog_info",),
    ]
    if new_ir:
        common += [("enable_new_ir", True), ("enable_new_executor", True)]
    assert config.calls[-len(common) :] == common
    assert (("enable_mkldnn",) in config.calls) == (kind == "cpu")


def test_fp16_on_a_gpu() -> None:
    config = RecordingConfig()
    configure(config, Device("gpu", 2), 3, new_ir=True, fp16=True)
    assert ("enable_use_gpu", 100, 2, "fp16") in config.calls
    assert ("enable_use_gpu", 100, 2, "fp32") not in config.calls


OPEN = """
import sys, warnings
from pathlib import Path
import numpy as np
from serve_app.config.device import Device
from serve_app.models.runtime import open_session
warnings.simplefilter("default")
for directory in sys.argv[2:]:
    session = open_session(
        Path(directory), runtime="paddle", device=Device(), threads=1, cache_dir=Path(sys.argv[1])
    )
    session.run({"x": np.zeros((1, 3, 112, 112), dtype=np.float32)})
"""


def test_opens_and_runs_without_a_word(paddle_forms: Path, tmp_path: Path) -> None:
    forms = [str(paddle_forms / form) for form in ("json32", "pdmodel32", "json_half")]
    command = [sys.executable, "-c", OPEN, str(tmp_path), *forms]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


# --- files ---


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


Damage = Callable[[bytes], bytes]
DAMAGE: dict[str, Damage] = {
    "half": lambda content: content[: len(content) // 2],
    "a little less": lambda content: content[:-3],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_a_broken_network_is_named(
    paddle_forms: Path, tmp_path: Path, form: str, damage: Damage
) -> None:
    shutil.copytree(paddle_forms / form, tmp_path / "Net")
    network, parameters = network_files(tmp_path / "Net")
    network.write_bytes(damage(network.read_bytes()))
    message = rf"^Net/{network.name} can't be loaded by Paddle: \S"
    with pytest.raises(ModelError, match=message) as raised:
        PaddleSession(network, parameters, Device(), 1)
    assert str(tmp_path) not in str(raised.value)
    assert "(at " not in str(raised.value)


@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_parameters_of_another_network(paddle_forms: Path, tmp_path: Path, form: str) -> None:
    shutil.copytree(paddle_forms / form, tmp_path / "Net")
    network, parameters = network_files(tmp_path / "Net")
    shutil.copy(paddle_forms / "json_many" / "inference.pdiparams", parameters)
    with pytest.raises(ModelError, match=rf"^Net/{network.name} can't be loaded by Paddle: \S"):
        PaddleSession(network, parameters, Device(), 1)


@pytest.mark.models
def test_any_thread_may_run_it_after_another(cache_dir: Path) -> None:
    """Paddle itself fails here: oneDNN keeps layers by thread id, and ids come again. It takes two
    networks of some size, so these are the embedded ones, converted."""
    options = RunOptions("paddle", Device(), 1, cache_dir)
    detector, extractor = (open_network(n, options) for n in networks(PipelineConfig(), cache_dir))
    image = np.full((1, 3, 320, 320), 99, dtype=np.float32)
    crops = np.full((8, 3, 112, 112), 99, dtype=np.float32)
    failures: list[Exception] = []

    def run() -> None:
        try:
            for _ in range(3):
                detector.run({detector.input_names[0]: image})
            extractor.run({extractor.input_names[0]: crops})
            detector.run({detector.input_names[0]: image})
        except ModelError as error:
            failures.append(error)

    for _ in range(8):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert not failures
