from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config import ModelConfig, PipelineConfig, default_cache_dir
from serve_app.models.canvas import Canvas
from serve_app.models.dense import DetectSize
from serve_app.models.yunet import STRIDES, YuNetDetector, decode, prepare
from serve_app.models.zoo.opening import open_detector
from serve_app.types import Image
from tests.models.stand_ins import ChoosySession, FunctionSession

SIDE = 64


@pytest.fixture(scope="module")
def astronaut() -> Image:
    """Eileen Collins, public domain: (512, 512, 3) RGB, one face at about (175, 65)-(275, 195)."""
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    return np.asarray(data.astronaut(), dtype=np.uint8)


def outputs(side: int = SIDE) -> dict[str, NDArray[np.float32]]:
    """What the network says of an image without a face."""
    heads = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {
        f"{head}_{stride}": np.zeros((1, (side // stride) ** 2, width), dtype=np.float32)
        for head, width in heads.items()
        for stride in STRIDES
    }


def with_face(score: float = 0.81, cell: int = 9) -> dict[str, NDArray[np.float32]]:
    """A face of 32 x 16 pixels around (12, 10): in cell 9 of stride 8, column 1, row 1."""
    said = outputs()
    said["cls_8"][0, cell] = score
    said["obj_8"][0, cell] = score
    said["bbox_8"][0, cell] = [0.5, 0.25, np.log(4), np.log(2)]
    said["kps_8"][0, cell] = np.arange(10) / 10
    return said


def test_input_is_bgr_and_padded_to_multiples_of_32() -> None:
    image = np.zeros((40, 70, 3), dtype=np.uint8)
    image[:, :] = (10, 20, 30)
    tensor, scale = prepare(image, DetectSize(32, 640), Canvas())
    assert scale == 1
    assert tensor.shape == (1, 3, 64, 96)
    assert tensor[0, :, 39, 69].tolist() == [30, 20, 10]
    assert not tensor[0, :, 40:].any()
    assert not tensor[0, :, :, 70:].any()


def test_decoding_one_known_face() -> None:
    found = decode(with_face(), SIDE, 0.5)
    assert found.scores.tolist() == pytest.approx([0.81])
    assert found.boxes[0].tolist() == pytest.approx([12 - 16, 10 - 8, 12 + 16, 10 + 8])
    expected = (np.arange(10).reshape(5, 2) / 10 + 1) * 8
    np.testing.assert_allclose(found.landmarks[0], expected, rtol=1e-5)


def test_the_score_must_be_above_the_threshold() -> None:
    said = with_face(score=0.5)
    assert len(decode(said, SIDE, 0.49).scores) == 1
    assert len(decode(said, SIDE, 0.5).scores) == 0


def test_of_overlapping_boxes_the_best_stays() -> None:
    said = with_face(score=0.7, cell=9)
    for head, value in (("cls", 0.9), ("obj", 0.9)):
        said[f"{head}_8"][0, 10] = value
    said["bbox_8"][0, 10] = [-0.5, 0.25, np.log(4), np.log(2)]  # the same box, seen from cell 10
    detector = YuNetDetector(FunctionSession(lambda _: said, ("input",)), DetectSize(32, 640))
    found = detector.detect(np.zeros((SIDE, SIDE, 3), dtype=np.uint8), 0.5)
    assert [detection.score for detection in found] == pytest.approx([0.9])


def test_boxes_are_clipped_and_scaled_back() -> None:
    detector = YuNetDetector(FunctionSession(lambda _: with_face(), ("input",)), DetectSize(64, 64))
    (found,) = detector.detect(np.zeros((128, 128, 3), dtype=np.uint8), 0.5)
    assert found.box == pytest.approx((0, 4, 56, 36))
    assert found.landmarks is not None
    np.testing.assert_allclose(
        found.landmarks, (np.arange(10).reshape(5, 2) / 10 + 1) * 16, rtol=1e-5
    )


def test_an_image_without_a_face() -> None:
    detector = YuNetDetector(FunctionSession(lambda _: outputs(), ("input",)), DetectSize(64, 64))
    assert detector.detect(np.zeros((64, 64, 3), dtype=np.uint8), 0.5) == []


def test_inputs_lie_where_the_session_wants_them() -> None:
    session = ChoosySession(lambda _: outputs())
    YuNetDetector(session, DetectSize(SIDE, 640)).detect(np.zeros((SIDE, SIDE, 3), np.uint8), 0.5)
    assert np.shares_memory(session.seen[0]["x"], session.given[0])


@pytest.mark.models
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("scale", [0.3, 1, 3])
def test_finds_the_face_at_every_size(runtime: str, scale: float, astronaut: Image) -> None:
    config = ModelConfig.model_validate({"model_name": "YuNet", "runtime": runtime})
    detector = open_detector(PipelineConfig(detector=config), default_cache_dir(os.environ))
    image = np.asarray(cv2.resize(astronaut, None, fx=scale, fy=scale), dtype=np.uint8)
    (found,) = detector.detect(image, 0.6)
    x1, y1, x2, y2 = (value / scale for value in found.box)
    assert 160 < x1 < 190
    assert 50 < y1 < 85
    assert 260 < x2 < 290
    assert 165 < y2 < 195
    assert found.landmarks is not None
    right_eye, left_eye, nose = found.landmarks[:3] / scale
    assert right_eye[0] < nose[0] < left_eye[0]
    assert max(right_eye[1], left_eye[1]) < nose[1]
    assert (found.landmarks / scale > (x1, y1)).all()
    assert (found.landmarks / scale < (x2, y2)).all()


@pytest.mark.models
@pytest.mark.parametrize("shift", [(0, 0), (37, 101), (128, 5), (90, 127)])
def test_the_box_moves_with_the_face(shift: tuple[int, int], astronaut: Image) -> None:
    detector = open_detector(PipelineConfig(), default_cache_dir(os.environ))
    canvas = np.full((640, 640, 3), 128, dtype=np.uint8)
    x, y = shift
    canvas[y : y + 512, x : x + 512] = astronaut
    (alone,) = detector.detect(astronaut, 0.6)
    (found,) = detector.detect(canvas, 0.6)
    expected = np.array(alone.box) + np.array([x, y, x, y])
    np.testing.assert_allclose(found.box, expected, atol=8)  # of some 90 x 114 pixels
    assert found.landmarks is not None
    assert alone.landmarks is not None
    np.testing.assert_allclose(found.landmarks, alone.landmarks + np.array(shift), atol=8)


@pytest.mark.models
def test_every_anchor_may_pass(astronaut: Image) -> None:
    """detThreshold -1 in a request: slow is allowed, an error or thousands of faces are not."""
    detector = open_detector(PipelineConfig(), default_cache_dir(os.environ))
    found = detector.detect(astronaut, -1)
    assert found[0].score > 0.8
    scores = [detection.score for detection in found]
    assert scores == sorted(scores, reverse=True)
