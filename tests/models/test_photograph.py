"""How far an image is reduced, and that whatever is said of it is in pixels of the original."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from serve_app.config import Limits, PipelineConfig, default_cache_dir
from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.imaging import ImageLimits, decode
from serve_app.models.alignment import ARCFACE_TEMPLATE, crop_box, crop_face
from serve_app.models.detector import DetectStage
from serve_app.models.photograph import Photograph, of_file, of_pixels, reduction_to
from serve_app.models.zoo.opening import open_detector
from serve_app.types import Detection, Image

LIMITS = ImageLimits()
WIDTH, HEIGHT = 403, 301
SCENES = Path(__file__).parents[3] / "shared" / "faces" / "scenes"


def scene(width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Smooth, and different everywhere."""
    rows, columns = np.mgrid[0:height, 0:width]
    bands = [rows * 255 / height, columns * 255 / width, 127 + 100 * np.sin(rows / 9 + columns / 7)]
    return np.stack(bands, axis=-1).astype(np.uint8)


def encoded(image: Image, form: str = "JPEG", orientation: int | None = None) -> bytes:
    buffer, exif = io.BytesIO(), PillowImage.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    options = {} if orientation is None else {"exif": exif}
    PillowImage.fromarray(image).save(buffer, form, quality=95, **options)
    return buffer.getvalue()


def face(left: float, top: float, scale: float) -> Detection:
    """One whose crop has one pixel for ``scale`` pixels of the image."""
    side = 112 * scale
    landmarks = (ARCFACE_TEMPLATE * scale + np.array([left, top])).astype(np.float32)
    return Detection((left, top, left + side, top + side), 0.9, landmarks)


# --- how far ---


@pytest.mark.parametrize(
    ("size", "reduction", "may_turn"),
    [
        ((1278, 800), 1, False),
        ((1279, 800), 2, False),
        ((2560, 800), 4, True),
        ((800, 5112), 4, True),
        ((800, 5120), 8, True),
        ((40000, 100), 8, False),
        ((40000, 100), 4, True),
        ((5120, 5120), 8, True),
        ((5120, 5119), 8, False),
        ((5120, 5119), 1, True),
    ],
)
def test_the_long_side_stays_as_long_as_is_needed(
    size: tuple[int, int], reduction: int, may_turn: bool
) -> None:
    assert reduction_to(size, 640, may_turn=may_turn) == reduction


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "TIFF"])
def test_other_formats_are_decoded_whole(form: str) -> None:
    data = encoded(scene(), form)
    photograph = of_file(data, LIMITS, 50)
    assert photograph.reduction == 1
    np.testing.assert_array_equal(photograph.pixels, decode(data, LIMITS))


@pytest.mark.parametrize("least", [None, 404.0, 202.1])
def test_whole_is_bit_identical(least: float | None) -> None:
    data = encoded(scene())
    photograph = of_file(data, LIMITS, least)
    np.testing.assert_array_equal(photograph.pixels, decode(data, LIMITS))
    detections = [face(20.3, 30.7, 0.8), Detection((3, 4, 50, 60), 0.7)]
    assert photograph.in_original(detections) == detections
    assert photograph.sharp_for(detections, 1.25) is photograph
    for one in detections:
        np.testing.assert_array_equal(photograph.crop(one), crop_face(decode(data, LIMITS), one))


def test_pixels_are_never_decoded_again() -> None:
    photograph = of_pixels(scene())
    assert photograph.size == (WIDTH, HEIGHT)
    assert photograph.sharp_for([face(0, 0, 0.1)], 2) is photograph


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_the_upright_one(orientation: int) -> None:
    photograph = of_file(encoded(scene(404, 300), orientation=orientation), LIMITS, 100)
    turned = orientation >= 5
    assert photograph.reduction == 4
    assert photograph.size == ((300, 404) if turned else (404, 300))
    assert photograph.pixels.shape == ((101, 75, 3) if turned else (75, 101, 3))


def test_odd_sides_that_may_be_turned_are_left_whole() -> None:
    assert of_file(encoded(scene(), orientation=3), LIMITS, 50).reduction == 1
    assert of_file(encoded(scene()), LIMITS, 50).reduction == 8


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_refused(kept: float) -> None:
    data = encoded(scene())
    with pytest.raises(InvalidImageError):
        of_file(data[: int(len(data) * kept)], LIMITS, 100)


def test_limits_are_those_of_the_whole_image() -> None:
    with pytest.raises(TooLargeError, match="403 x 301"):
        of_file(encoded(scene()), ImageLimits(max_pixels=WIDTH * HEIGHT - 1), 50)


# --- the way back ---


def test_boxes_and_landmarks_are_in_pixels_of_the_original_and_inside() -> None:
    photograph = of_file(encoded(scene()), LIMITS, 50)
    assert photograph.reduction == 8
    landmarks = np.array([[1, 2]] * 5, dtype=np.float32)
    inside, edge = photograph.in_original(
        [Detection((1.5, 2, 10, 20), 0.9, landmarks), Detection((50, 37, 51, 38), 0.8)]
    )
    assert inside.box == (12, 16, 80, 160)
    assert inside.landmarks is not None
    assert inside.landmarks.tolist() == [[8, 16]] * 5
    assert edge.box == (400, 296, 403, 301)
    assert edge.landmarks is None


@pytest.mark.parametrize(
    ("scales", "reduction"),
    [([10], 4), ([5], 4), ([4.9], 2), ([2.5], 2), ([2.4], 1), ([10, 2.6], 2), ([10, 1], 1)],
)
def test_decoded_again_only_where_a_crop_needs_it(scales: list[float], reduction: int) -> None:
    photograph = of_file(encoded(scene()), LIMITS, 100)
    assert photograph.reduction == 4
    again = photograph.sharp_for([face(5, 5, scale) for scale in scales], 1.25)
    assert again.reduction == reduction
    assert again.size == photograph.size
    assert (again is photograph) == (reduction == 4)


def test_nothing_is_decoded_again_without_a_face() -> None:
    photograph = of_file(encoded(scene()), LIMITS, 100)
    assert photograph.sharp_for([], 1.25) is photograph


@pytest.mark.parametrize("scale", [2.6, 2.9])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6])
def test_crops_show_what_those_of_the_whole_show(scale: float, orientation: int | None) -> None:
    """A shift of half a pixel of the original would be seen: the picture is a wave."""
    width, height = (WIDTH, HEIGHT) if orientation is None else (404, 402)
    data = encoded(scene(width, height), orientation=orientation)
    photograph, whole = of_file(data, LIMITS, 150), of_pixels(decode(data, LIMITS))
    assert photograph.reduction == 2
    one = face(4, 3, scale)
    small, large = photograph.crop(one).astype(int), whole.crop(one).astype(int)
    inner = np.abs(small - large)[4:-20, 4:-20]
    assert inner.mean() < 1.2
    shifted = Photograph(photograph.pixels, photograph.size, 2).crop(face(5, 4, scale)).astype(int)
    assert np.abs(shifted - large)[4:-20, 4:-20].mean() > 2 * inner.mean()


def test_a_box_without_landmarks_is_cut_of_the_whole() -> None:
    data = encoded(scene())
    one = Detection((8, 8, 400, 300), 0.9)
    sharp = of_file(data, LIMITS, 50).sharp_for([one], 1.25)
    assert sharp.reduction == 1
    np.testing.assert_array_equal(sharp.crop(one), crop_box(decode(data, LIMITS), one.box))


# --- with the default detector ---


@pytest.mark.models
@pytest.mark.skipif(not SCENES.exists(), reason="photographs are in ../shared, which is not here")
@pytest.mark.parametrize("name", ["six_friends", "two_people", "couple", "obama-1080p"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_boxes_of_a_large_photograph_are_those_of_the_whole(name: str, orientation: int) -> None:
    picture = np.asarray(cv2.imread(str(SCENES / f"{name}.jpg"))[:, :, ::-1], dtype=np.uint8)
    height, width = picture.shape[:2]
    large = cv2.resize(
        picture, (4000, 4000 * height // width // 2 * 2), interpolation=cv2.INTER_CUBIC
    )
    upright = np.asarray(np.rot90(large) if orientation == 6 else large, dtype=np.uint8)
    data = encoded(upright, orientation=orientation)
    detector = open_detector(PipelineConfig(), default_cache_dir(os.environ))
    stage = DetectStage(detector, Limits().image, 100)
    assert stage.read(data).reduction == 2
    found = stage.detect(data, 0.6)
    expected = DetectStage(detector, Limits().image, 100, margins=None).detect(data, 0.6)
    assert len(found) == len(expected) > 0
    for one in expected:
        nearest = min(found, key=lambda other: np.abs(np.subtract(other.box, one.box)).max())
        off = np.abs(np.subtract(nearest.box, one.box)) / (one.box[2] - one.box[0])
        assert off.mean() <= 0.01, (one.box, nearest.box)
        assert np.abs(nearest.crop.astype(int) - one.crop).mean() < 6
