"""Landmarks land where the extractor expects them, whatever the size of the face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from serve_app.models.alignment import (
    ARCFACE_TEMPLATE,
    crop_box,
    crop_face,
    crop_scale,
    resize,
    similarity_transform,
)
from serve_app.types import Detection, Image, Landmarks

SCALES = [0.1, 0.3, 0.49, 0.51, 1.0, 2.0]
"""Pixels of the crop for a pixel of the image; below a half the image is shrunk first."""


def turned(angle: float, scale: float, shift: tuple[float, float]) -> NDArray[np.float64]:
    """The (2, 3) transform that turns by ``angle`` in degrees, scales and shifts."""
    cosine, sine = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def moved(points: NDArray[np.float64] | Landmarks, transform: NDArray[np.float64]) -> Landmarks:
    return np.asarray(points @ transform[:, :2].T + transform[:, 2], dtype=np.float32)


# --- the transform ---


@settings(max_examples=60, deadline=None)
@given(st.floats(-180, 180), st.floats(0.02, 30), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_recovers_a_known_transform(angle: float, scale: float, x: float, y: float) -> None:
    known = turned(angle, scale, (x, y))
    found = similarity_transform(ARCFACE_TEMPLATE, moved(ARCFACE_TEMPLATE, known))
    assert found is not None
    assert found.shape == (2, 3)
    np.testing.assert_allclose(
        moved(ARCFACE_TEMPLATE, found), moved(ARCFACE_TEMPLATE, known), rtol=1e-4, atol=1e-2
    )
    np.testing.assert_allclose(found[:, :2], known[:, :2], rtol=1e-2, atol=1e-3 * (1 + scale))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 40))
def test_equals_least_squares_and_umeyama_on_noisy_points(seed: int, noise: float) -> None:
    chance = np.random.default_rng(seed)
    known = turned(chance.uniform(-180, 180), chance.uniform(0.2, 5), (30, -40))
    source = (moved(ARCFACE_TEMPLATE, known) + chance.normal(0, noise, (5, 2))).astype(np.float32)
    # (a, b, x, y) with x' = a x - b y + x and y' = b x + a y + y: linear, so least squares.
    x, y = source.astype(np.float64).T
    ones, zeros = np.ones(5), np.zeros(5)
    matrix = np.vstack([np.c_[x, -y, ones, zeros], np.c_[y, x, zeros, ones]])
    (a, b, dx, dy), *_ = np.linalg.lstsq(matrix, ARCFACE_TEMPLATE.T.reshape(-1), rcond=None)
    assume(np.hypot(a, b) > 1e-3)
    found = similarity_transform(source, ARCFACE_TEMPLATE)
    assert found is not None
    np.testing.assert_allclose(found, [[a, -b, dx], [b, a, dy]], rtol=1e-5, atol=1e-4)
    covariance = (ARCFACE_TEMPLATE - ARCFACE_TEMPLATE.mean(0)).T @ (source - source.mean(0))
    if np.linalg.det(covariance) > 1:  # below, the two differ: Umeyama weighs a mirror image
        umeyama = SimilarityTransform.from_estimate(source, ARCFACE_TEMPLATE)
        np.testing.assert_allclose(found, umeyama.params[:2], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    "points",
    [np.zeros((5, 2)), np.full((5, 2), 77.25), np.full((5, 2), np.nan), np.full((5, 2), np.inf)],
    ids=["zeros", "one point", "nan", "infinity"],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_points_without_extent_have_no_transform(points: NDArray[np.float64]) -> None:
    assert similarity_transform(points.astype(np.float32), ARCFACE_TEMPLATE) is None


def test_a_target_without_extent_has_none_either() -> None:
    assert similarity_transform(ARCFACE_TEMPLATE, np.ones((5, 2), dtype=np.float32)) is None


# --- the crop ---


def scene(scale: float, angle: float = 20) -> tuple[Landmarks, int]:
    """Landmarks of a face in a square image, and the side of it."""
    side = int(260 / scale)
    centre = np.array([56.0, 72.0])
    inverse = turned(angle, 1 / scale, (0, 0))
    inverse[:, 2] = side / 2 + 0.25 - inverse[:, :2] @ centre
    return moved(ARCFACE_TEMPLATE, inverse), side


def spot(side: int, centre: Landmarks, sigma: float) -> Image:
    """A bright spot on black; pixel (0, 0) has its centre at 0, 0."""
    rows, columns = (
        np.exp(-((np.arange(side) - position) ** 2) / (2 * sigma**2)) for position in centre[::-1]
    )
    return np.repeat((250 * np.outer(rows, columns)).astype(np.uint8)[:, :, None], 3, axis=2)


def centre_of(crop: Image) -> NDArray[np.float64]:
    weights = crop[:, :, 0].astype(np.float64)
    columns, rows = weights.sum(axis=0), weights.sum(axis=1)
    centre = np.array([columns @ np.arange(112), rows @ np.arange(112)])
    return np.asarray(centre / weights.sum(), dtype=np.float64)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("landmark", range(5))
def test_each_landmark_lands_on_the_template(scale: float, landmark: int) -> None:
    landmarks, side = scene(scale)
    image = spot(side, landmarks[landmark], sigma=3 / scale)
    crop = crop_face(image, Detection((0, 0, side, side), 0.9, landmarks))
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    np.testing.assert_allclose(centre_of(crop), ARCFACE_TEMPLATE[landmark], atol=0.15)


@pytest.mark.parametrize("scale", [0.1, 0.2, 0.3])
def test_a_large_face_has_less_aliasing_than_direct_sampling(scale: float) -> None:
    """Noise finer than the crop can show should average out to grey."""
    landmarks, side = scene(scale)
    noise = np.random.default_rng(3).integers(0, 2, (side, side, 1), dtype=np.uint8) * 255
    image = np.repeat(noise, 3, axis=2)
    crop = crop_face(image, Detection((0, 0, side, side), 0.9, landmarks))
    transform = similarity_transform(landmarks, ARCFACE_TEMPLATE)
    assert transform is not None
    direct = np.asarray(cv2.warpAffine(image, transform, (112, 112), flags=cv2.INTER_LINEAR))
    assert crop.std() < 0.7 * direct.std()
    assert crop.mean() == pytest.approx(127.5, abs=3)


def test_both_sides_of_the_limit_give_the_same_crop() -> None:
    """A face of half a pixel more must not jump."""
    crops = []
    for scale in (0.4999, 0.5001):
        landmarks, side = scene(scale)
        crops.append(
            crop_face(
                spot(side, landmarks[2], 12 / scale),
                Detection((0, 0, side, side), 0.9, landmarks),
            )
        )
    assert np.abs(crops[0].astype(int) - crops[1]).max() <= 4


@pytest.mark.parametrize("scale", [0.1, 0.8])
def test_a_face_beyond_the_image_is_black_there(scale: float) -> None:
    landmarks, side = scene(scale, angle=0)
    image = np.full((side, side, 3), 200, dtype=np.uint8)
    outside = (landmarks - np.float32(side / 2)).astype(np.float32)  # its centre on the corner
    crop = crop_face(image, Detection((0, 0, 9, 9), 0.9, outside))
    assert crop[:40, :40].max() == 0
    assert crop[90:, 80:].min() == 200


@pytest.mark.parametrize("shift", [(-1e5, 0), (0, 1e5), (1e5, -1e5)])
@pytest.mark.parametrize("scale", [0.05, 1])
def test_landmarks_far_outside_give_a_crop_still(shift: tuple[float, float], scale: float) -> None:
    landmarks = moved(ARCFACE_TEMPLATE, turned(0, 1 / scale, shift))
    image = np.full((50, 60, 3), 200, dtype=np.uint8)
    crop = crop_face(image, Detection((0, 0, 60, 50), 0.9, landmarks))
    assert crop.shape == (112, 112, 3)
    assert crop.max() == 0


# --- without landmarks ---


def ramp(height: int, width: int) -> Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns, rows, rows + columns], axis=-1).astype(np.uint8)


def test_a_box_is_cut_without_a_margin_and_stretched() -> None:
    image = ramp(90, 120)
    expected = resize(image[20:61, 10:33])
    assert np.array_equal(crop_box(image, (10.9, 20.2, 33.7, 61.99)), expected)
    assert np.array_equal(crop_face(image, Detection((10.9, 20.2, 33.7, 61.99), 0.9)), expected)


def test_landmarks_without_extent_fall_back_to_the_box() -> None:
    image, box = ramp(90, 120), (10.0, 20.0, 50.0, 70.0)
    landmarks = np.full((5, 2), 30, dtype=np.float32)
    assert np.array_equal(crop_face(image, Detection(box, 0.9, landmarks)), crop_box(image, box))


def test_a_box_of_less_than_a_pixel_has_one() -> None:
    crop = crop_box(ramp(90, 120), (10.2, 20.2, 10.8, 20.9))
    assert np.unique(crop.reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]


@pytest.mark.parametrize("shape", [(1, 1), (112, 112), (5, 400), (1000, 3)])
def test_any_image_is_stretched_to_a_crop(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), (1, 2, 3), dtype=np.uint8)
    crop = resize(image)
    assert crop.shape == (112, 112, 3)
    assert np.unique(crop.reshape(-1, 3), axis=0).tolist() == [[1, 2, 3]]


# --- how much a face is shrunk ---


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("angle", [0, 30, 180])
def test_scale_of_a_crop(scale: float, angle: float) -> None:
    landmarks = moved(ARCFACE_TEMPLATE, turned(angle, 1 / scale, (50, 70)))
    assert crop_scale(Detection((0, 0, 9, 9), 0.9, landmarks)) == pytest.approx(scale, rel=1e-4)


def test_a_crop_of_the_box_has_no_scale() -> None:
    coinciding = np.ones((5, 2), dtype=np.float32)
    for landmarks in (None, coinciding):
        assert crop_scale(Detection((0, 0, 9, 9), 0.9, landmarks)) == float("inf")
