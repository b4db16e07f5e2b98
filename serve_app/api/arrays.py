"""Raw pixels of a request to the bytes of an image file: a BMP, the same pixels behind a header.

So the stages take one thing, an image file. A BMP costs a copy; a PNG would cost 60 of them.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from serve_app.api.sources import ImageArray
from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.imaging import ImageLimits

ITEM_BYTES = {"uint8": 1, "float32": 4}
BMP_HEADER_BYTES = 54


def to_bmp(array: ImageArray, limits: ImageLimits) -> bytes:
    """A BMP of 24 bits a pixel. Values of float32 are rounded; nothing is clipped.

    Raises TooLargeError over a limit, for ``data`` as for the file; InvalidImageError if ``data``
    is not as long as the shape says or holds values that are no colours.
    """
    height, width, channels = array.shape
    if height * width > limits.max_pixels:
        raise TooLargeError(
            f"array of {width} x {height} pixels, over the limit of "
            f"{limits.max_pixels / 1e6:g} megapixels: send a smaller one"
        )
    row_bytes = -(-width * channels // 4) * 4
    if max(len(array.data), BMP_HEADER_BYTES + height * row_bytes) > limits.max_bytes:
        raise TooLargeError(
            f"array is over the limit of {limits.max_bytes} bytes: send a smaller one, or an "
            "image file"
        )
    if len(array.data) != math.prod(array.shape) * ITEM_BYTES[array.dtype]:
        raise InvalidImageError("array has another number of bytes than its shape and dtype say")
    pixels = np.frombuffer(array.data, np.dtype(array.dtype).newbyteorder("<"))
    pixels = _bytes_of(pixels.reshape(array.shape))
    if array.order == "RGB":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded, file = cv2.imencode(".bmp", pixels)
    if not encoded:
        raise InvalidImageError("array can't be made an image")
    return bytes(file.tobytes())


def _bytes_of(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    # Not a number is neither: both comparisons are false then.
    if not (pixels.min() >= 0 and pixels.max() <= 255):
        raise InvalidImageError("array holds values that are not from 0 to 255")
    return np.asarray(cv2.convertScaleAbs(pixels), dtype=np.uint8)
