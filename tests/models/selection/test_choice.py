from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ConfigError, ModelError
from serve_app.models.network import Network
from serve_app.models.selection import choice
from serve_app.models.selection.choice import RunOptions, open_network, plain_runtime
from serve_app.models.selection.forms import NamedOutputs
from serve_app.models.selection.measurement import Measurement
from tests.models.conversion.onnx_networks import IMAGE, NetworkBuilder

NETWORK = Network("SFace", Path("x.onnx"), "00", ("openvino", "onnxruntime"), dict)
AUTO = RunOptions("auto", Device(), 1, Path("cache"))


class Installed:
    """Runtimes by the kinds of devices that they are made for."""

    def __init__(self, **runtimes: str) -> None:
        self.runtimes = runtimes

    def __call__(self, runtime: str, device: Device) -> bool:
        return device.kind in self.runtimes.get(runtime, "").split()


def test_the_plain_runtime_is_the_first_preferred_that_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = Installed(openvino="cpu", onnxruntime="cpu", paddle="cpu")
    monkeypatch.setattr(choice, "runs_on", there)
    assert plain_runtime(NETWORK, AUTO) == "openvino"
    del there.runtimes["openvino"]
    assert plain_runtime(NETWORK, AUTO) == "onnxruntime"
    del there.runtimes["onnxruntime"]
    assert plain_runtime(NETWORK, AUTO) == "paddle"
    del there.runtimes["paddle"]
    with pytest.raises(ConfigError, match="on cpu is installed; install one of openvino, onnxrun"):
        plain_runtime(NETWORK, AUTO)


def test_the_plain_runtime_is_one_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Installed(openvino="cpu", onnxruntime="cpu gpu", paddle="cpu gpu npu")
    monkeypatch.setattr(choice, "runs_on", there)
    assert plain_runtime(NETWORK, replace(AUTO, device=Device("gpu", 1))) == "onnxruntime"
    assert plain_runtime(NETWORK, replace(AUTO, device=Device("npu", 0))) == "paddle"
    there.runtimes["onnxruntime"] = "cpu"  # a build without CUDA
    assert plain_runtime(NETWORK, replace(AUTO, device=Device("gpu", 1))) == "paddle"


def test_a_network_in_paddles_form_is_plain_in_paddle_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = replace(NETWORK, path=Path("model"), preferred=("paddle",))
    monkeypatch.setattr(choice, "runs_on", Installed(paddle="cpu", onnxruntime="cpu"))
    assert plain_runtime(network, AUTO) == "paddle"
    monkeypatch.setattr(choice, "runs_on", Installed(onnxruntime="cpu"))
    with pytest.raises(ConfigError, match=r"install one of paddle$"):
        plain_runtime(network, AUTO)


@pytest.fixture
def small(tmp_path: Path) -> Network:
    builder = NetworkBuilder()
    builder.output(builder.add("Conv", IMAGE, builder.weights(3, 4, 1, 1), output="head"))
    image = np.random.default_rng(1).normal(size=(1, 4, 8, 8)).astype(np.float32)
    file = builder.save(tmp_path / "small.onnx")
    return Network("Small", file, "0" * 64, ("onnxruntime",), lambda: {IMAGE: image})


def test_every_way_to_open_a_network_gives_the_same_answer(small: Network, tmp_path: Path) -> None:
    answers = []
    for runtime in ("auto", "onnxruntime", "paddle", "openvino", "fastest"):
        session = open_network(small, RunOptions(runtime, Device(), 1, tmp_path / "cache"))
        answers.append(session.run(small.example())["head"])
    for answer in answers:
        np.testing.assert_allclose(answer, answers[0], atol=1e-5)
    assert list((tmp_path / "cache" / "runtimes").glob("Small-*.json"))


def measurement_that_chose(runtime: str) -> Measurement:
    return Measurement(
        network="Small",
        digest="0",
        facts={},
        taken=datetime(2026, 11, 24, tzinfo=UTC),
        images=1,
        plain="onnxruntime",
        chosen=runtime,
        rows=(),
    )


def test_the_chosen_runtime_is_the_one_that_runs(
    small: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(network: Network, plain: str, options: RunOptions) -> Measurement:
        assert (network, plain) == (small, "onnxruntime")
        return measurement_that_chose("paddle")

    monkeypatch.setattr(choice, "measured", chosen)
    session = open_network(small, RunOptions("fastest", Device(), 1, tmp_path / "cache"))
    assert isinstance(session, NamedOutputs)  # Paddle's numbers for the outputs are gone


@pytest.mark.parametrize(
    ("runtime", "device", "message"),
    [
        ("openvino", Device("gpu", 0), "runtime: openvino.* does not run on gpu:0"),
        ("paddle", Device("npu", 0), "runtime: paddle.* does not run on npu:0"),
    ],
)
def test_a_named_runtime_that_is_not_for_the_device(
    small: Network, tmp_path: Path, runtime: str, device: Device, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        open_network(small, RunOptions(runtime, device, 1, tmp_path / "cache"))
    assert not (tmp_path / "cache").exists(), "nothing is converted for it"


def test_a_named_runtime_that_cant_have_the_network_says_why(tmp_path: Path) -> None:
    builder = NetworkBuilder()
    builder.output(builder.add("Softmax", IMAGE))
    network = Network("Soft", builder.save(tmp_path / "soft.onnx"), "0", ("onnxruntime",), dict)
    with pytest.raises(ModelError, match=r"soft\.onnx is not converted .* operator Softmax"):
        open_network(network, RunOptions("paddle", Device(), 1, tmp_path / "cache"))


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from serve_app.config.device import Device
from serve_app.models.network import Network
from serve_app.models.selection.choice import RunOptions, plain_runtime
from serve_app.models.selection.fastest import measured
from serve_app.models.selection.trial import Rules
image = np.zeros((1, 4, 8, 8), dtype=np.float32)
network = Network("Small", Path(sys.argv[1]), "0", ("onnxruntime",), lambda: {"image.1": image})
options = RunOptions("fastest", Device(), 1, Path(sys.argv[2]))
plain = plain_runtime(network, options)
found = measured(network, plain, options, Rules(turn_s=0.01, max_turns=3))
assert [row.left_out for row in found.rows] == [None] * 3, found
print(sorted({"paddle", "onnxruntime", "openvino"} & set(sys.modules)))
"""


def test_measuring_has_no_effect_on_this_process(small: Network, tmp_path: Path) -> None:
    """No runtime is imported for being on trial: Paddle takes seconds and sets global flags."""
    command = [sys.executable, "-c", PROGRAM, str(small.path), str(tmp_path / "cache")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
