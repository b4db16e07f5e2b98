"""int8 networks: made once of weights and inputs, in a process of their own."""

from __future__ import annotations

from importlib import metadata, util
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config import PipelineConfig
from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.child import ChildError
from serve_app.models.conversion import to_int8 as module
from serve_app.models.conversion.to_int8 import INSTALL, int8_file, newest_int8, to_int8
from serve_app.models.runtime import open_session
from serve_app.models.zoo.extractors import extractor

WEIGHTS = "fb143eea07838aa5"
INPUTS = {"data": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)}


@pytest.fixture
def quantiser(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """Stands for the child: notes the inputs that it is given."""
    seen: list[NDArray[np.float32]] = []

    def run_child(_: str, arguments: list[str], deadline_s: float) -> dict[str, object]:
        network, name, inputs, target = arguments
        assert (network, name) == ("x.onnx", "data")
        seen.append(np.load(inputs))
        Path(target).write_bytes(b"int8 %d" % len(seen))
        return {}

    monkeypatch.setattr(module, "run_child", run_child)
    monkeypatch.setattr(module, "version", lambda: "3.4.0")
    return seen


def make(cache: Path, scale: float = 1, weights: str = WEIGHTS) -> str:
    inputs = {name: values * np.float32(scale) for name, values in INPUTS.items()}
    return to_int8(Path("x.onnx"), weights, inputs, cache)


def test_is_made_once_of_the_same(quantiser: list[NDArray[np.float32]], tmp_path: Path) -> None:
    digest = make(tmp_path)
    assert make(tmp_path) == digest
    assert len(digest) == 8
    np.testing.assert_array_equal(quantiser[0], INPUTS["data"])
    assert len(quantiser) == 1
    file = int8_file(WEIGHTS, digest, tmp_path)
    assert file is not None
    assert file.read_bytes() == b"int8 1"


def test_other_weights_inputs_or_quantisers_make_another(
    quantiser: list[NDArray[np.float32]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = [make(tmp_path), make(tmp_path, scale=2), make(tmp_path, weights="other")]
    monkeypatch.setattr(module, "version", lambda: "4.0.0")
    digests.append(make(tmp_path))
    assert len(set(digests)) == 4
    assert newest_int8(WEIGHTS, tmp_path) == digests[-1]
    assert newest_int8("other", tmp_path) == digests[2]


def test_one_that_changed_is_none(quantiser: list[NDArray[np.float32]], tmp_path: Path) -> None:
    assert newest_int8(WEIGHTS, tmp_path) is None
    digest = make(tmp_path)
    file = int8_file(WEIGHTS, digest, tmp_path)
    assert file is not None
    file.write_bytes(b"cut")
    assert int8_file(WEIGHTS, digest, tmp_path) is None
    assert newest_int8(WEIGHTS, tmp_path) is None
    make(tmp_path)
    assert newest_int8(WEIGHTS, tmp_path) == digest


def test_what_breaks_off_leaves_nothing(
    quantiser: list[NDArray[np.float32]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> None:
        raise ChildError("gives no answer in 1800 s")

    monkeypatch.setattr(module, "run_child", hangs)
    with pytest.raises(ModelError, match="no int8 network is made: NNCF gives no answer in 1800 s"):
        make(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_without_nncf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ModelError) as refusal:
        make(tmp_path)
    assert str(refusal.value) == f"int8 needs NNCF: {INSTALL}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.models
@pytest.mark.skipif(util.find_spec("nncf") is None, reason="NNCF is not installed")
def test_sface(cache_dir: Path, tmp_path: Path) -> None:
    network, _ = extractor(PipelineConfig(), cache_dir)
    example = dict(network.example())
    digest = to_int8(network.path, network.digest, example, tmp_path)
    file = int8_file(network.digest, digest, tmp_path)
    assert file is not None
    assert file.stat().st_size < network.path.stat().st_size / 3
    exact, rounded = (
        open_session(path, runtime="openvino", device=Device(), threads=1, cache_dir=tmp_path)
        for path in (network.path, file)
    )
    assert rounded.input_names == exact.input_names
    (one,), (other,) = exact.run(example).values(), rounded.run(example).values()
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.einsum("nd,nd->n", one, other) / lengths
    assert (cosines > 0.9).all()
    assert (cosines < 1 - 1e-5).all()
    assert rounded.run({name: values[:1] for name, values in example.items()})
