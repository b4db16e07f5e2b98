from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from serve_app.errors import ModelError
from serve_app.models.inference_yml import (
    IDENTITY,
    Normalise,
    read_detector_form,
    read_extractor_form,
)

BLAZEFACE = {
    "Global": {"model_name": "BlazeFace"},
    "arch": "Face",
    "Preprocess": [
        {"type": "NormalizeImage", "is_scale": False, "mean": [123, 117, 104], "std": [127.5] * 3},
        {"type": "Permute"},
    ],
}
PICODET = {
    "Preprocess": [
        {"type": "Resize", "target_size": [1088, 640], "keep_ratio": False, "interp": 2},
        {"type": "NormalizeImage", "mean": [0.5] * 3, "std": [0.25] * 3, "is_scale": True},
        {"type": "Permute"},
    ],
}
MOBILEFACENET = {
    "Global": {"model_name": "MobileFaceNet"},
    "PreProcess": {
        "transform_ops": [
            {"ResizeImage": {"size": [112, 112], "interpolation": "bilinear"}},
            {"NormalizeImage": {"scale": 1 / 255, "mean": [0.5] * 3, "std": [0.5] * 3}},
            {"ToCHWImage": None},
        ]
    },
}


def write(directory: Path, content: object) -> Path:
    (directory / "inference.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return directory


def test_blazeface_runs_on_the_image_as_it_is(tmp_path: Path) -> None:
    form = read_detector_form(write(tmp_path, BLAZEFACE))
    assert (form.name, form.target_size) == ("BlazeFace", None)
    pixel = form.normalise.apply(np.array([[[[123, 117, 231]]]], dtype=np.uint8))
    assert pixel.reshape(-1).tolist() == pytest.approx([0, 0, 127 / 127.5], abs=1e-6)


def test_resize_and_scale(tmp_path: Path) -> None:
    form = read_detector_form(write(tmp_path, PICODET))
    assert (form.target_size, form.interpolation) == ((1088, 640), 2)
    assert form.name == tmp_path.name  # no name in the file: the directory's
    pixel = form.normalise.apply(np.full((1, 1, 1, 3), 255, dtype=np.uint8))
    assert pixel.reshape(-1).tolist() == pytest.approx([2, 2, 2])


def test_norm_type_none_only_scales(tmp_path: Path) -> None:
    step = {"type": "NormalizeImage", "mean": [9] * 3, "std": [9] * 3, "norm_type": "none"}
    form = read_detector_form(write(tmp_path, {"Preprocess": [step]}))
    pixel = form.normalise.apply(np.full((1, 1, 1, 3), 51, dtype=np.uint8))
    assert pixel.reshape(-1).tolist() == pytest.approx([0.2] * 3)


def test_extractor(tmp_path: Path) -> None:
    form = read_extractor_form(write(tmp_path, MOBILEFACENET))
    assert form.name == "MobileFaceNet"
    pixel = form.normalise.apply(np.array([[[[0, 255, 0]]]], dtype=np.uint8))
    assert pixel.reshape(-1).tolist() == pytest.approx([-1, 1, -1])


def test_layout_is_channels_first_and_contiguous() -> None:
    images = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    tensor = IDENTITY.apply(images)
    assert tensor.shape == (2, 3, 4, 5)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert tensor[1, 2, 3, 4] == images[1, 3, 4, 2]
    assert Normalise(1, (1, 1, 1), (2, 2, 2)).apply(images)[0, 0, 0, 0] == -0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"Preprocess": [{"type": "Resize", "target_size": [9, 9], "keep_ratio": True}]},
            "keep_ratio",
        ),
        ({"Preprocess": [{"type": "Mosaic"}]}, "Mosaic is not supported"),
        (None, "is empty"),
    ],
)
def test_what_a_detector_can_not_ask_for(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_detector_form(write(tmp_path, content))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"ResizeImage": {"size": [96, 112]}}, "112 x 112"),
        ({"RandomFlip": None}, "RandomFlip is not supported"),
    ],
)
def test_what_an_extractor_can_not_ask_for(tmp_path: Path, operation: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_extractor_form(write(tmp_path, {"PreProcess": {"transform_ops": [operation]}}))


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no inference\.yml"):
        read_detector_form(tmp_path)
    (tmp_path / "inference.yml").write_text("a: [")
    with pytest.raises(ModelError, match="not valid YAML"):
        read_extractor_form(tmp_path)
