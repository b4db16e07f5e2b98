from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from serve_app.api.arrays import to_bmp
from serve_app.api.sources import ImageArray
from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.imaging import ImageLimits, decode

LIMITS = ImageLimits(max_bytes=10_000, max_pixels=2_000)
Order = Literal["RGB", "BGR"]


def array(pixels: np.ndarray, order: Order = "RGB") -> ImageArray:
    height, width, _ = pixels.shape
    floats = pixels.dtype != np.uint8
    data = pixels.astype("<f4").tobytes() if floats else pixels.tobytes()
    dtype: Literal["float32", "uint8"] = "float32" if floats else "uint8"
    return ImageArray(shape=(height, width, 3), dtype=dtype, data=data, order=order)


@given(st.integers(1, 13), st.integers(1, 13), st.sampled_from(["RGB", "BGR"]), st.booleans())
def test_the_file_has_the_arrays_pixels(
    height: int, width: int, order: Order, floats: bool
) -> None:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = to_bmp(array(pixels.astype(np.float32) if floats else pixels, order), LIMITS)
    expected = pixels if order == "RGB" else pixels[:, :, ::-1]
    assert np.array_equal(decode(file, LIMITS), expected)
    with PillowImage.open(io.BytesIO(file)) as image:
        assert np.array_equal(np.asarray(image), expected)


def test_floats_are_rounded() -> None:
    values = np.array([[[0.4, 0.6, 254.6], [255.0, 0.0, 127.49]]], dtype=np.float32)
    pixels = decode(to_bmp(array(values), LIMITS), LIMITS)
    assert pixels.tolist() == [[[0, 1, 255], [255, 0, 127]]]


@pytest.mark.parametrize("value", [-0.01, 255.01, np.nan, np.inf, -np.inf, 1e38])
def test_floats_that_are_no_colours(value: float) -> None:
    pixels = np.zeros((3, 5, 3), dtype=np.float32)
    pixels[1, 2, 0] = value
    with pytest.raises(InvalidImageError, match="not from 0 to 255"):
        to_bmp(array(pixels), LIMITS)


@pytest.mark.parametrize("change", [-1, 1, 12])
def test_data_that_does_not_fit_the_shape(change: int) -> None:
    data = bytes(4 * 5 * 3 + change)
    with pytest.raises(InvalidImageError, match="another number of bytes"):
        to_bmp(ImageArray(shape=(4, 5, 3), dtype="uint8", data=data), LIMITS)


def test_pixels_are_limited_before_anything_is_made_of_them() -> None:
    with pytest.raises(
        TooLargeError, match=r"of 2147483647 x 2147483647 pixels.*0\.002 megapixels"
    ):
        to_bmp(ImageArray(shape=(2**31 - 1, 2**31 - 1, 3), dtype="uint8", data=b""), LIMITS)
    with pytest.raises(TooLargeError, match="megapixels"):
        to_bmp(array(np.zeros((1, 2001, 3), np.uint8)), LIMITS)
    to_bmp(array(np.zeros((1, 2000, 3), np.uint8)), LIMITS)


def test_bytes_are_limited_those_sent_and_those_of_the_file() -> None:
    file = to_bmp(array(np.zeros((31, 33, 3), np.uint8)), LIMITS)
    assert len(file) == 54 + 31 * 100
    with pytest.raises(TooLargeError, match="over the limit of 3153 bytes"):
        to_bmp(array(np.zeros((31, 33, 3), np.uint8)), ImageLimits(len(file) - 1, 2000))
    with pytest.raises(TooLargeError, match="over the limit of 10000 bytes"):
        to_bmp(array(np.zeros((31, 33, 3), np.float32)), LIMITS)
