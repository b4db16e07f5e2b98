"""The real networks answer the same in Paddle's form; it is made once."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.canvas import Canvas
from serve_app.models.conversion import to_paddle as module
from serve_app.models.conversion.dequantise import dequantised
from serve_app.models.conversion.to_paddle import output_names, to_paddle
from serve_app.models.dense import DetectSize
from serve_app.models.runtime import open_session
from serve_app.models.selection.picture import picture
from serve_app.models.yunet import prepare
from serve_app.models.zoo.packaged import packaged_file
from serve_app.models.zoo.table import CENTERFACE, SFACE, YUNET, PackagedModel
from tests.models.conversion.onnx_networks import IMAGE, NetworkBuilder


def small(file: Path) -> Path:
    network = NetworkBuilder()
    network.output(network.add("Conv", IMAGE, network.weights(3, 4, 1, 1), output="mixed"))
    return network.save(file)


def test_is_made_once(tmp_path: Path) -> None:
    file, cache = small(tmp_path / "small.onnx"), tmp_path / "cache"
    directory = to_paddle(file, cache)
    assert {path.name for path in directory.iterdir()} >= {
        "inference.json", "inference.pdiparams", "outputs.json"
    }  # fmt: skip
    assert output_names(directory) == ("mixed",)
    assert metadata.version("paddlepaddle") in directory.name
    made = (directory / "inference.json").stat()
    assert to_paddle(file, cache) == directory
    assert (directory / "inference.json").stat().st_ino == made.st_ino


def test_what_it_depends_on_is_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_child", lambda *_: {})  # converts to nothing
    monkeypatch.setattr(module, "cached_directory", lambda target, build: target)
    file = small(tmp_path / "small.onnx")
    names = {to_paddle(file, tmp_path)}
    file.write_bytes(file.read_bytes() + b"\0")
    names.add(to_paddle(file, tmp_path))
    monkeypatch.setattr(module, "CONVERTER_VERSION", 99)
    names.add(to_paddle(file, tmp_path))
    monkeypatch.setattr(metadata, "version", lambda package: "9.9.9")
    names.add(to_paddle(file, tmp_path))
    assert len(names) == 4


def test_what_cant_be_converted_is_named(tmp_path: Path) -> None:
    network = NetworkBuilder()
    network.output(network.add("Softmax", IMAGE))
    file = network.save(tmp_path / "soft.onnx")
    with pytest.raises(ModelError) as caught:
        to_paddle(file, tmp_path / "cache")
    assert str(caught.value) == (
        "soft.onnx is not converted to Paddle's form: operator Softmax can't be converted to "
        "Paddle's form"
    )
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"]


def test_without_paddle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ModelError, match="needs paddlepaddle; install it"):
        to_paddle(small(tmp_path / "small.onnx"), tmp_path)


@pytest.mark.models
@pytest.mark.parametrize("packaged", [YUNET, CENTERFACE, SFACE], ids=lambda model: model.name)
def test_real_networks_answer_the_same(packaged: PackagedModel, cache_dir: Path) -> None:
    try:
        source = packaged_file(packaged)
    except ModelError:
        if packaged is not CENTERFACE:
            raise
        pytest.skip(f"CenterFace is not installed: {packaged.install}")
    file = dequantised(source, packaged.digest, cache_dir)
    directory = to_paddle(file, cache_dir)
    sessions = [
        open_session(model, runtime=runtime, device=Device(), threads=1, cache_dir=cache_dir)
        for runtime, model in (("onnxruntime", file), ("paddle", directory))
    ]
    (name,) = sessions[0].input_names
    assert sessions[1].input_names == (name,)
    image = prepare(picture(), DetectSize(), Canvas())[0]
    crops = np.ascontiguousarray(image[:, :, 150:262, 350:462])
    inputs = [crops, np.concatenate([crops] * 3)]
    if packaged is not SFACE:
        inputs += [image, np.ascontiguousarray(image[:, :, :320, :224])]
        inputs[1] = np.ascontiguousarray(inputs[1][:, :, :96, :96])
        inputs[0] = np.ascontiguousarray(inputs[0][:, :, :64, :96])
    for tensor in inputs:
        expected = sessions[0].run({name: tensor})
        found = dict(
            zip(output_names(directory), sessions[1].run({name: tensor}).values(), strict=True)
        )
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            assert len(values) == len(tensor)
            scale = max(1.0, float(np.abs(values).max()))
            np.testing.assert_allclose(found[key] / scale, values / scale, rtol=0, atol=1e-5)
