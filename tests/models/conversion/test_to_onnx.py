"""Networks in Paddle's form answer the same as ONNX files, as far as paddle2onnx takes them."""

from __future__ import annotations

from importlib import metadata, util
from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.conversion.to_onnx import INSTALL, to_onnx
from serve_app.models.inference_yml import read_detector_form
from serve_app.models.runtime import Tensors, open_session
from serve_app.models.runtime.paddle_inference import paddle_files
from serve_app.models.selection.agreement import difference
from serve_app.models.selection.picture import picture

needs_paddle2onnx = pytest.mark.skipif(
    util.find_spec("paddle2onnx") is None, reason=f"paddle2onnx is not installed: {INSTALL}"
)


def convert(directory: Path, cache: Path) -> Path:
    return to_onnx(*paddle_files(directory), cache)


def same_answers(directory: Path, file: Path, cache: Path, inputs: Tensors) -> None:
    plain = open_session(directory, runtime="paddle", device=Device(), threads=1, cache_dir=cache)
    inputs = {name: inputs[name] for name in plain.input_names}
    expected = plain.run(inputs)
    for runtime in ("onnxruntime", "openvino"):
        session = open_session(file, runtime=runtime, device=Device(), threads=1, cache_dir=cache)
        assert set(session.input_names) == set(plain.input_names)
        apart = difference(expected, session.run(inputs))
        assert apart.agrees, f"{runtime}: {apart}"


@needs_paddle2onnx
@pytest.mark.parametrize("name", ["MobileFaceNet", "ResNet50_face"])
def test_extractors(official_models: dict[str, Path], tmp_path: Path, name: str) -> None:
    directory = official_models[name]
    file = convert(directory, tmp_path)
    crops = np.random.default_rng(1).normal(size=(3, 3, 112, 112)).astype(np.float32)
    for batch in (crops, crops[:1]):
        same_answers(directory, file, tmp_path, {"x": batch})


@needs_paddle2onnx
def test_a_detector_of_any_size(official_models: dict[str, Path], tmp_path: Path) -> None:
    directory = official_models["BlazeFace"]
    file, form = convert(directory, tmp_path), read_detector_form(directory)
    for image in (picture(), np.ascontiguousarray(picture()[:320, :352])):
        same_answers(directory, file, tmp_path, form.prepare(image))


@needs_paddle2onnx
def test_the_older_form(legacy_models: dict[str, Path], tmp_path: Path) -> None:
    directory = legacy_models["MobileFaceNet"]
    crops = np.random.default_rng(1).normal(size=(2, 3, 112, 112)).astype(np.float32)
    same_answers(directory, convert(directory, tmp_path), tmp_path, {"x": crops})


@needs_paddle2onnx
def test_is_made_once(official_models: dict[str, Path], tmp_path: Path) -> None:
    file = convert(official_models["MobileFaceNet"], tmp_path)
    assert file.name == "model.onnx"
    assert metadata.version("paddle2onnx") in file.parent.name
    made = file.stat()
    assert convert(official_models["MobileFaceNet"], tmp_path) == file
    assert file.stat().st_ino == made.st_ino


@needs_paddle2onnx
def test_the_end_of_paddle2onnx_is_not_ours(
    official_models: dict[str, Path], tmp_path: Path
) -> None:
    """It aborts where it meets an operator that it does not know, as in this stand-in."""
    with pytest.raises(ModelError, match=r"^PicoDet\S+ is not converted to ONNX: crashes with"):
        convert(official_models["PicoDet_LCNet_x2_5_face"], tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_without_paddle2onnx(
    official_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ModelError, match="needs paddle2onnx: pip install --no-deps paddle2onnx"):
        convert(official_models["MobileFaceNet"], tmp_path)
