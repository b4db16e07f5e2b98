"""The rules for boxes, and all four official forms against answers worked out by hand: stand-ins
that Paddle exported (``official_forms``), run by Paddle Inference."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.inference_yml import DetectorForm, Normalise, read_detector_form
from serve_app.models.paddle_detector import PaddleDetector, decode
from serve_app.models.runtime import Session, open_session
from serve_app.types import Image
from tests.models.official_forms import BACKGROUND, COLOURS, DETECTORS
from tests.models.stand_ins import ChoosySession, FunctionSession

PLAIN = Normalise(1.0, (0, 0, 0), (1, 1, 1))
NAMES = ("im_shape", "image", "scale_factor")


def rows(*values: list[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(-1, 6)


def test_rules_of_paddlex() -> None:
    found = decode(
        rows(
            [0, 0.9, 10.5, 20.25, 30, 40],
            [0, 0.5, 1, 1, 9, 9],  # not above the threshold
            [-1, 0.9, 1, 1, 9, 9],  # no class: padding
            [0, 0.8, -5, 90, 120, 130],  # beyond the image
            [0, 0.7, 50, 50, 50.4, 60],  # less than a pixel wide
        ),
        0.5, 100, 110,
    )  # fmt: skip
    assert [detection.box for detection in found] == [(10.5, 20.25, 30, 40), (0, 90, 110, 100)]
    assert [detection.score for detection in found] == pytest.approx([0.9, 0.8])
    assert all(detection.landmarks is None for detection in found)


def test_order_is_the_networks() -> None:
    found = decode(rows([0, 0.6, 0, 0, 5, 5], [0, 0.9, 10, 10, 20, 20]), 0.5, 50, 50)
    assert [detection.score for detection in found] == pytest.approx([0.6, 0.9])


@pytest.mark.parametrize(
    ("target", "shape", "scale"), [(None, (40, 60), (1, 1)), ((80, 30), (80, 30), (2, 0.5))]
)
def test_inputs_as_the_network_was_exported(
    target: tuple[int, int] | None, shape: tuple[int, int], scale: tuple[float, float]
) -> None:
    def network(_: Any) -> dict[str, NDArray[Any]]:
        return {"boxes": rows([0, 0.9, 1, 2, 30, 31]), "box_num": np.array([1], dtype=np.int32)}

    session = FunctionSession(network, NAMES)
    detector = PaddleDetector(session, DetectorForm("x", PLAIN, target, 2))
    (found,) = detector.detect(np.full((40, 60, 3), 7, dtype=np.uint8), 0.5)
    assert found.box == (1, 2, 30, 31)
    inputs = session.seen[0]
    assert inputs["image"].shape == (1, 3, *shape)
    assert inputs["im_shape"].tolist() == [list(shape)]
    assert inputs["scale_factor"].tolist() == [list(scale)]
    assert all(tensor.dtype == np.float32 for tensor in inputs.values())


def test_images_lie_where_the_session_wants_them() -> None:
    nothing = {"boxes": rows(), "box_num": np.array([0], dtype=np.int32)}
    session = ChoosySession(lambda _: nothing, NAMES)
    detector = PaddleDetector(session, DetectorForm("x", PLAIN, None, 2))
    for _ in range(2):
        detector.detect(np.full((40, 60, 3), 7, dtype=np.uint8), 0.5)
    (memory,) = session.given
    assert all(np.shares_memory(inputs["image"], memory) for inputs in session.seen)


def answering(**outputs: NDArray[Any]) -> PaddleDetector:
    session = FunctionSession(lambda _: outputs, NAMES)
    return PaddleDetector(session, DetectorForm("x", PLAIN, None, 2))


FACE, OTHER = [0, 0.9, 1, 2, 30, 31], [0, 0.8, 3, 4, 20, 21]
IMAGE = np.zeros((40, 60, 3), dtype=np.uint8)


def test_box_num_says_which_rows_are_the_first_images() -> None:
    counts = np.array([1, 1], dtype=np.int32)
    (found,) = answering(boxes=rows(FACE, OTHER), box_num=counts).detect(IMAGE, 0.5)
    assert found.box == (1, 2, 30, 31)
    # Some exports answer with a row of -1 where there is no face, and count none.
    empty = answering(boxes=rows([-1] * 6), box_num=np.array([0], dtype=np.int32))
    assert empty.detect(IMAGE, -2) == []


def test_outputs_in_any_order_and_of_any_name() -> None:
    counts = np.array([2], dtype=np.int32)
    assert len(answering(a=counts, b=rows(FACE, OTHER)).detect(IMAGE, 0.5)) == 2
    assert len(answering(fetch_name_0=rows(FACE, OTHER)).detect(IMAGE, 0.5)) == 2


def test_a_network_that_is_no_detector() -> None:
    with pytest.raises(ModelError, match=r"outputs have shapes \(1, 128\); boxes \(N, 6\)"):
        answering(features=np.zeros((1, 128), dtype=np.float32)).detect(IMAGE, 0.5)
    detector = PaddleDetector(
        FunctionSession(lambda _: {}, ("x",)), DetectorForm("x", PLAIN, None, 2)
    )
    with pytest.raises(ModelError, match=r"takes x; a detector takes im_shape, image, scale"):
        detector.detect(IMAGE, 0.5)


# --- the official forms ---

Things = dict[int, tuple[int, int, int, int]]
"""Colour to box: what is in a picture."""

SCENES: dict[str, tuple[tuple[int, int], Things]] = {
    "three, landscape": (
        (300, 500),
        {0: (40, 60, 120, 160), 1: (200, 30, 330, 110), 2: (350, 200, 420, 290)},
    ),
    "one, portrait": ((640, 200), {1: (50, 400, 150, 520)}),
    "small": ((64, 96), {2: (10, 20, 50, 60)}),
    "at the edges": ((240, 320), {0: (0, 0, 60, 80), 2: (260, 180, 320, 240)}),
    "large": ((900, 1600), {0: (1200, 100, 1500, 800)}),
    "none": ((120, 160), {}),
}


def picture(scene: str) -> tuple[Image, Things]:
    (height, width), things = SCENES[scene]
    image = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    for colour, (x1, y1, x2, y2) in things.items():
        image[y1:y2, x1:x2] = COLOURS[colour]
    return image, things


def brightest(image: Image, name: str, channel: int, interpolation: int = cv2.INTER_CUBIC) -> float:
    """A stand-in's score, worked out without the code under test."""
    size = DETECTORS[name].size
    if size is not None:
        resized = cv2.resize(image, (size[1], size[0]), interpolation=interpolation)
        image = np.asarray(resized, dtype=np.uint8)
    return float(image[:, :, channel].max()) / 255


def load(directory: Path) -> Session:
    cache = directory / "cache"  # nothing in fp16 here: stays empty
    return open_session(directory, runtime="paddle", device=Device(), threads=1, cache_dir=cache)


def open_form(directory: Path) -> PaddleDetector:
    return PaddleDetector(load(directory), read_detector_form(directory))


@pytest.fixture(scope="module")
def detectors(official_models: dict[str, Path]) -> dict[str, PaddleDetector]:
    return {name: open_form(official_models[name]) for name in DETECTORS}


@pytest.mark.parametrize("name", DETECTORS)
def test_known_answers(name: str, detectors: dict[str, PaddleDetector]) -> None:
    """One detector looks at all pictures, one after the other, of every size."""
    for scene in SCENES:
        image, things = picture(scene)
        found = detectors[name].detect(image, 0.3)
        assert len(found) == len(things), scene
        size = DETECTORS[name].size or image.shape[:2]
        # Resizing blurs an edge by two pixels of the network's, and puts it between two.
        tolerance = 1e-3 if DETECTORS[name].size is None else 0
        for detection, (colour, box) in zip(found, things.items(), strict=True):
            for value, expected, original, seen in zip(
                detection.box, box, image.shape[1::-1] * 2, size[::-1] * 2, strict=True
            ):
                blur = tolerance or 2.5 * max(original / seen, 1)
                assert value == pytest.approx(expected, abs=blur), scene
            assert detection.score == pytest.approx(brightest(image, name, colour), abs=1e-4), scene
            assert detection.landmarks is None


@pytest.mark.parametrize("name", DETECTORS)
def test_the_threshold_is_the_callers(name: str, detectors: dict[str, PaddleDetector]) -> None:
    image, _ = picture("three, landscape")
    best = brightest(image, name, 0)
    assert len(detectors[name].detect(image, best - 0.01)) == 1
    assert detectors[name].detect(image, best + 0.01) == []


@pytest.mark.parametrize("name", DETECTORS)
def test_a_stand_in_tells_channels_apart(name: str, detectors: dict[str, PaddleDetector]) -> None:
    """A stand-in that finds anything would prove nothing."""
    image, _ = picture("three, landscape")
    assert detectors[name].detect(np.ascontiguousarray(image[:, :, ::-1]), 0.3) == []


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("change", ["mean", "std", "is_scale"])
def test_a_stand_in_tells_normalisation_apart(
    name: str, change: str, official_models: dict[str, Path], tmp_path: Path
) -> None:
    """So a wrong reading of inference.yml can't go unnoticed: each wrong value finds nothing."""

    def edit(step: dict[str, Any]) -> None:
        if step["type"] != "NormalizeImage":
            return
        step.pop("norm_type", None)
        if change == "is_scale":
            step["is_scale"] = not step["is_scale"]
        else:
            unit = 255 if step["std"][0] > 1 else 1
            step[change] = [value + 0.1 * unit for value in step[change]]

    image, _ = picture("three, landscape")
    assert open_form(edited(official_models[name], tmp_path, edit)).detect(image, 0.3) == []


@pytest.mark.parametrize("name", ["PP-YOLOE_plus-S_face", "PicoDet_LCNet_x2_5_face"])
@pytest.mark.parametrize("interpolation", [cv2.INTER_NEAREST, cv2.INTER_LINEAR])
def test_interpolation_is_that_of_the_file(
    name: str, interpolation: int, official_models: dict[str, Path], tmp_path: Path
) -> None:
    def edit(step: dict[str, Any]) -> None:
        if step["type"] == "Resize":
            step["interp"] = interpolation

    image, _ = picture("one, portrait")
    (found,) = open_form(edited(official_models[name], tmp_path, edit)).detect(image, 0.3)
    assert found.score == pytest.approx(brightest(image, name, 1, interpolation), abs=1e-4)
    assert abs(found.score - brightest(image, name, 1)) > 0.02


@pytest.mark.parametrize("name", DETECTORS)
def test_a_stand_in_tells_height_from_width(name: str, official_models: dict[str, Path]) -> None:
    image, _ = picture("one, portrait")
    form = read_detector_form(official_models[name])
    session = load(official_models[name])
    tensors = form.prepare(image)
    inputs = {key: tensors[key] for key in DETECTORS[name].inputs}
    assert set(session.input_names) == set(inputs)
    right = next(iter(session.run(inputs).values()))
    for key in ("im_shape", "scale_factor"):
        if key in inputs:
            inputs[key] = np.ascontiguousarray(inputs[key][:, ::-1])
    wrong = next(iter(session.run(inputs).values()))
    assert np.abs(right - wrong).max() > 50


@pytest.mark.parametrize("name", DETECTORS)
def test_a_batch_as_the_network_was_exported(name: str, official_models: dict[str, Path]) -> None:
    """Boxes of several images lie one after the other; ``box_num`` says how many are whose."""
    form = read_detector_form(official_models[name])
    session = load(official_models[name])
    first, things = picture("three, landscape")
    second = np.ascontiguousarray(first[::-1])
    batch = [form.prepare(image) for image in (first, np.zeros_like(first), second)]
    inputs = {key: np.concatenate([one[key] for one in batch]) for key in session.input_names}
    boxes, counts = session.run(inputs).values()
    assert boxes.shape == (6, 6)
    assert counts.tolist() == [3, 0, 3]
    assert counts.dtype == np.int32
    detections = PaddleDetector(FunctionSession(lambda _: {"a": boxes, "b": counts}, NAMES), form)
    assert len(detections.detect(first, 0.3)) == len(things)


def test_the_older_file_form_gives_the_same(
    legacy_models: dict[str, Path], detectors: dict[str, PaddleDetector]
) -> None:
    directory = legacy_models["BlazeFace"]
    assert (directory / "inference.pdmodel").exists()
    assert not (directory / "inference.json").exists()
    older = open_form(directory)
    for scene in SCENES:
        image, _ = picture(scene)
        expected = detectors["BlazeFace"].detect(image, 0.3)
        found = older.detect(image, 0.3)
        assert [one.score for one in found] == pytest.approx([one.score for one in expected])
        for one, other in zip(found, expected, strict=True):
            assert one.box == pytest.approx(other.box, abs=1e-3)


def edited(directory: Path, tmp_path: Path, edit: Any) -> Path:
    """A copy with each step of its Preprocess changed."""
    copy = Path(shutil.copytree(directory, tmp_path / directory.name))
    content = yaml.safe_load((copy / "inference.yml").read_text(encoding="utf-8"))
    for step in content["Preprocess"]:
        edit(step)
    (copy / "inference.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return copy
