from __future__ import annotations

import cv2
import numpy as np
import pytest

from serve_app.errors import FaceServeError, InvalidImageError, TooLargeError
from serve_app.imaging import ImageLimits, decode
from serve_app.models.alignment import ARCFACE_TEMPLATE, resize
from serve_app.models.detector import DetectItem, DetectStage, image_cost
from serve_app.models.photograph import MEASURED
from serve_app.request_context import Spans
from serve_app.types import Detection, Image


class Columns:
    """A detector that finds a face of ten pixels a column, the score growing to the right."""

    sees = None

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        if image[0, 0, 0] == 255:
            raise RuntimeError("a path, an address")
        columns = range(image.shape[1] // 10)
        scores = [(column + 1) / 10 for column in columns]
        return [
            Detection((column * 10, 0, column * 10 + 10, 10), score)
            for column, score in zip(columns, scores, strict=True)
            if score > threshold
        ]


def picture(width: int, shade: int = 3) -> bytes:
    return bytes(cv2.imencode(".png", np.full((10, width, 3), shade, np.uint8))[1].tobytes())


def stage(max_faces: int = 100) -> DetectStage:
    return DetectStage(Columns(), ImageLimits(max_pixels=1000), max_faces)


def test_faces_with_crops_in_the_detectors_order() -> None:
    faces = stage().detect(picture(50), 0.25)
    assert [face.score for face in faces] == [0.3, 0.4, 0.5]
    assert all(face.crop.shape == (112, 112, 3) for face in faces)


class Spot:
    """A detector that shrinks to 100 pixels and finds one face in the middle, a tenth as wide as
    the image. It notes what it was given."""

    sees = 100

    def __init__(self) -> None:
        self.given: list[tuple[int, ...]] = []

    def detect(self, image: Image, threshold: float) -> list[Detection]:
        self.given.append(image.shape)
        height, width = image.shape[:2]
        side = width / 10
        corner = np.array([width / 2 - side / 2, height / 2 - side / 2])
        landmarks = (corner + ARCFACE_TEMPLATE * side / 112).astype(np.float32)
        box = (*corner.tolist(), *(corner + side).tolist())
        return [Detection(box, 0.9, landmarks)]


def photo(width: int, form: str = ".jpg") -> bytes:
    """As high as wide, dark, a bright spot in the middle."""
    image = np.full((width, width, 3), 30, np.uint8)
    cv2.circle(image, (width // 2, width // 2), width // 40, (200, 200, 200), -1)
    return bytes(cv2.imencode(form, image)[1].tobytes())


@pytest.mark.parametrize(("width", "seen"), [(592, 592), (600, 300), (1200, 300), (2400, 300)])
def test_a_large_jpeg_is_seen_small_and_told_large(width: int, seen: int) -> None:
    detector = Spot()
    (face,) = DetectStage(detector, ImageLimits(), 5).detect(photo(width), 0.5)
    assert detector.given == [(seen, seen, 3)]
    assert face.box == pytest.approx((width * 0.45, width * 0.45, width * 0.55, width * 0.55))
    (whole,) = DetectStage(detector, ImageLimits(), 5, margins=None).detect(photo(width), 0.5)
    assert detector.given[1] == (width, width, 3)
    assert whole.box == pytest.approx(face.box)
    difference = np.abs(whole.crop.astype(int) - face.crop)
    assert difference.mean() < 2.5
    assert whole.crop.max() - whole.crop.min() > 100


@pytest.mark.parametrize("width", [600, 1200])
def test_a_small_face_is_cut_of_the_whole_image(width: int) -> None:
    """60 or 120 pixels wide, of which a crop of 112 can't be made with less."""
    answers = [
        DetectStage(Spot(), ImageLimits(), 5, margins).detect(photo(width), 0.5)[0]
        for margins in (MEASURED, None)
    ]
    np.testing.assert_array_equal(answers[0].crop, answers[1].crop)


def test_other_images_and_other_detectors_are_seen_whole() -> None:
    detector = Spot()
    stage = DetectStage(detector, ImageLimits(), 5)
    stage.detect(photo(1200, ".png"), 0.5)
    stage.find(stage.read(np.zeros((1200, 1200, 3), np.uint8)), 0.5)
    columns = DetectStage(Columns(), ImageLimits(), 5)
    assert columns.read(photo(1200)).pixels.shape == (1200, 1200, 3)
    assert detector.given == [(1200, 1200, 3)] * 2


def test_a_large_jpeg_without_a_threshold_is_resized_whole() -> None:
    data = photo(2400)
    crop = DetectStage(Spot(), ImageLimits(), 5).crop_whole(data)
    np.testing.assert_array_equal(crop, resize(decode(data, ImageLimits())))
    (answer,) = DetectStage(Spot(), ImageLimits(), 5).run([DetectItem(data, None)], [Spans()])
    np.testing.assert_array_equal(answer, crop)


def test_the_stage_answers_alike_however_it_is_asked() -> None:
    stage, data = DetectStage(Spot(), ImageLimits(), 5), photo(1200)
    spans = Spans()
    (answer,) = stage.run([DetectItem(data, 0.5)], [spans])
    assert isinstance(answer, list)
    (timed,) = answer
    (found,) = stage.detect(data, 0.5)
    assert timed.box == found.box
    np.testing.assert_array_equal(timed.crop, found.crop)
    assert sorted(spans.seconds) == ["decode", "detect"]


def test_too_many_faces_leave_the_best() -> None:
    faces = stage(max_faces=2).detect(picture(50), 0)
    assert [face.score for face in faces] == [0.4, 0.5]


def test_equal_scores_do_not_pass_the_limit() -> None:
    class Crowd:
        sees = None

        def detect(self, image: Image, threshold: float) -> list[Detection]:
            return [Detection((left, 0, left + 5, 5), 0.9) for left in range(20)]

    faces = DetectStage(Crowd(), ImageLimits(), 3).detect(picture(50), 0)
    assert [face.box[0] for face in faces] == [0, 1, 2]


def test_a_whole_image_is_one_crop() -> None:
    crop = stage().crop_whole(picture(30, shade=77))
    assert crop.shape == (112, 112, 3)
    assert np.unique(crop).tolist() == [77]


def test_a_bad_item_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    items = [
        DetectItem(picture(20), 0),
        DetectItem(b"no image", 0),
        DetectItem(picture(200), 0),
        DetectItem(picture(20, shade=255), 0),
        DetectItem(picture(20), None),
    ]
    spans = [Spans() for _ in items]
    answers = stage().run(items, spans)
    assert isinstance(answers[0], list)
    assert len(answers[0]) == 2
    assert isinstance(answers[1], InvalidImageError)
    assert isinstance(answers[2], TooLargeError)
    assert type(answers[3]) is FaceServeError
    assert str(answers[3]) == "internal error"
    assert isinstance(answers[4], np.ndarray)
    assert "address" not in caplog.text
    assert [sorted(one.seconds) for one in spans] == [
        ["decode", "detect"],
        ["decode"],
        ["decode"],
        ["decode", "detect"],
        ["decode", "detect"],
    ]


def test_cost_grows_with_the_bytes() -> None:
    sizes = [0, 256 * 1024 - 1, 256 * 1024, 10 * 1024 * 1024]
    assert [image_cost(size) for size in sizes] == [1, 1, 2, 41]
    assert DetectItem(bytes(600_000), 0.5).cost == 3


def test_a_drawing_that_is_packed_small_costs_its_pixels() -> None:
    drawing = np.zeros((3000, 4000, 3), np.uint8)
    data = bytes(cv2.imencode(".png", drawing)[1].tobytes())
    assert len(data) < 256 * 1024
    assert DetectItem(data, 0.5).cost == 12
    claims = data[:16] + bytes([255] * 8) + data[24:]
    assert DetectItem(claims, 0.5).cost == 65
