from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from serve_app.errors import ModelError
from serve_app.models.inference_yml import (
    IDENTITY,
    Normalise,
    declared_name,
    read_detector_form,
    read_extractor_form,
)
from tests.models.official_forms import DETECTORS, EXTRACTORS, inference_yml

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
    ("name", "size", "low", "high"),
    [
        ("BlazeFace", None, -123 / 127.502231, (255 - 123) / 127.502231),
        ("BlazeFace-FPN-SSH", None, -123 / 127.502231, (255 - 123) / 127.502231),
        ("PicoDet_LCNet_x2_5_face", (1088, 1088), -0.485 / 0.229, (1 - 0.485) / 0.229),
        ("PP-YOLOE_plus-S_face", (640, 640), 0, 1),
    ],
)
def test_the_official_detectors(
    name: str, size: tuple[int, int] | None, low: float, high: float, tmp_path: Path
) -> None:
    """With every key that their files have: NMS, fpn_stride, Hpi and the like change nothing."""
    form = read_detector_form(write(tmp_path, inference_yml(name)))
    assert (form.name, form.target_size) == (name, size)
    assert form.interpolation == (2 if size else 1)
    assert red(form.normalise) == pytest.approx((low, high), abs=1e-6)
    assert name in DETECTORS


@pytest.mark.parametrize("name", EXTRACTORS)
def test_the_official_extractors(name: str, tmp_path: Path) -> None:
    form = read_extractor_form(write(tmp_path, inference_yml(name)))
    assert form.name == name
    assert red(form.normalise) == pytest.approx((-1, 1), abs=1e-6)


def red(normalise: Normalise) -> tuple[float, float]:
    """What 0 and 255 become."""
    pixels = np.array([[[[0, 9, 9], [255, 9, 9]]]], dtype=np.uint8)
    low, high = normalise.apply(pixels)[0, 0, 0]
    return float(low), float(high)


def resize(**values: object) -> dict[str, object]:
    return {"type": "Resize", "target_size": [96, 64], "keep_ratio": False, **values}


def test_padding_where_there_is_nothing_to_pad(tmp_path: Path) -> None:
    steps = [resize(), {"type": "PadStride", "stride": 32}]
    assert read_detector_form(write(tmp_path, {"Preprocess": steps})).target_size == (96, 64)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([resize(keep_ratio=True)], "keep_ratio"),
        ([resize(interp=7)], "interp 7 is not supported"),
        ([{"type": "Mosaic"}], "Mosaic is not supported"),
        ([{"type": "PadStride", "stride": 32}], "after a Resize to multiples of 32"),
        ([resize(), {"type": "PadStride", "stride": 48}], "after a Resize to multiples of 48"),
        ([{"type": "NormalizeImage", "norm_type": "minmax"}], "norm_type minmax"),
        ([{"type": "NormalizeImage", "mean": [1, 2, 3]}], "step can't be read"),
        ([{"type": "NormalizeImage", "mean": [1], "std": [1]}], "step can't be read"),
        ([{"type": "NormalizeImage", "mean": [1] * 3, "std": [1, 0, 1]}], "step can't be read"),
        ([resize(target_size=640)], "step can't be read"),
        ([resize(target_size=[0, 640])], "step can't be read"),
        ([resize(interp="CUBIC")], "step can't be read"),
        (["Permute"], "step can't be read: Permute"),
        ([{"kind": "Permute"}], "step can't be read"),
    ],
)
def test_what_a_detector_can_not_ask_for(tmp_path: Path, steps: list[object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_detector_form(write(tmp_path, {"Preprocess": steps}))


def test_an_architecture_that_answers_otherwise(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="arch SOLOv2 is not supported; known are Face, YOLO, GFL"):
        read_detector_form(write(tmp_path, {**BLAZEFACE, "arch": "SOLOv2"}))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"ResizeImage": {"size": [96, 112]}}, "112 x 112"),
        ({"ResizeImage": {}}, "step can't be read"),
        ({"NormalizeImage": {"scale": "a", "mean": [1] * 3, "std": [1] * 3}}, "can't be read"),
        ({"NormalizeImage": {"channel_num": 4}}, "channel_num must be 3"),
        ({"RandomFlip": None}, "RandomFlip is not supported"),
        ("ToCHWImage", "step can't be read"),
    ],
)
def test_what_an_extractor_can_not_ask_for(tmp_path: Path, operation: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_extractor_form(write(tmp_path, {"PreProcess": {"transform_ops": [operation]}}))


def test_a_classifier_is_no_extractor(tmp_path: Path) -> None:
    content = {**MOBILEFACENET, "PostProcess": {"Topk": {"topk": 5}}}
    with pytest.raises(ModelError, match="PostProcess Topk is not an extractor's"):
        read_extractor_form(write(tmp_path, content))


def test_one_in_the_place_of_the_other(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no PreProcess: it is no extractor's"):
        read_extractor_form(write(tmp_path, BLAZEFACE))
    with pytest.raises(ModelError, match="no Preprocess: it is no detector's"):
        read_detector_form(write(tmp_path, MOBILEFACENET))


def test_the_declared_name(tmp_path: Path) -> None:
    assert declared_name(write(tmp_path, BLAZEFACE)) == "BlazeFace"
    for content in ({}, {"Global": None}, {"Global": "x"}, {"Global": {"model_name": None}}):
        assert declared_name(write(tmp_path, content)) is None


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no inference\.yml"):
        read_detector_form(tmp_path)
    file = tmp_path / "inference.yml"
    for content in (b"a: [", b"\xff\xfe"):
        file.write_bytes(content)
        with pytest.raises(ModelError, match="not valid YAML"):
            read_extractor_form(tmp_path)
    file.write_text("")
    with pytest.raises(ModelError, match="is empty"):
        read_detector_form(tmp_path)
    file.unlink()
    file.mkdir()
    with pytest.raises(ModelError, match=r"inference\.yml can't be read: Is a directory"):
        read_detector_form(tmp_path)
    with pytest.raises(ModelError, match=r"has no inference\.yml"):
        declared_name(Path(__file__))
