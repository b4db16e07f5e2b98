"""Encoded bytes to pixels and back, with limits that hold before anything is decoded.

Two readers share the work: Pillow parses the header (format and size, without touching a pixel) and
OpenCV decodes, twice as fast as Pillow and strict with truncated files (docs/decisions/0004). They
must agree on the size.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage

from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.types import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
TILE_WIDTH, TILE_LENGTH = 322, 323
"""Tags of TIFF 6.0, section 15."""
CORRUPT = "image is truncated or corrupt: it can't be decoded whole"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest image that is decoded: bytes as sent, pixels as its header says."""

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 40_000_000


def read_size(data: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Width and height in pixels from the header of an encoded image; nothing is decoded.

    Raises TooLargeError over a limit, InvalidImageError for what is no image of ``FORMATS``.
    """
    if len(data) > limits.max_bytes:
        raise TooLargeError(
            f"image of {len(data)} bytes is over the limit of {limits.max_bytes} bytes: "
            "send a smaller or more compressed one"
        )
    if not data:
        raise InvalidImageError("image is empty: send the bytes of an image file")
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images; our own limit below decides.
            warnings.simplefilter("ignore")
            with PillowImage.open(io.BytesIO(data), formats=FORMATS) as header:
                width, height = header.size
                tile_pixels = _tile_pixels(header)
    except PillowImage.DecompressionBombError:
        raise TooLargeError(_too_many_pixels(limits)) from None
    except Exception:
        # Parsers of hostile bytes raise whatever they like: struct.error, ValueError, SyntaxError.
        raise InvalidImageError(
            f"not an image that can be read: send one of {', '.join(FORMATS)}"
        ) from None
    if width < 1 or height < 1:
        raise InvalidImageError(f"image has no pixels ({width} x {height})")
    if width * height > limits.max_pixels:
        raise TooLargeError(f"image of {width} x {height} pixels: {_too_many_pixels(limits)}")
    if tile_pixels > limits.max_pixels:
        raise TooLargeError(f"image with a tile that is {_too_many_pixels(limits)}")
    return width, height


def decode(data: bytes, limits: ImageLimits) -> Image:
    """Pixels (H, W, 3) uint8 RGB of an encoded image, upright (EXIF orientation applied).

    Raises TooLargeError before decoding, InvalidImageError for truncated and corrupt files.
    """
    size = read_size(data, limits)
    _check_png_chunks(data)
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise InvalidImageError(CORRUPT)
    height, width = pixels.shape[:2]
    if size not in ((width, height), (height, width)):  # EXIF may turn it by 90 degrees
        raise InvalidImageError("image is corrupt: its header and its pixels disagree")
    return np.asarray(pixels, dtype=np.uint8)


def encode_jpeg(image: Image, quality: int = 85) -> bytes:
    """JPEG bytes of an RGB image (H, W, 3) uint8."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"image of shape {image.shape} can't be written as JPEG")
    return bytes(encoded.tobytes())


def _tile_pixels(header: PillowImage.Image) -> int:
    """Pixels of a TIFF's tile, else 0: a small image may name a huge one, which is decoded whole."""
    tags = getattr(header, "tag_v2", {})
    return int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0))


def _check_png_chunks(data: bytes) -> None:
    """Raise InvalidImageError for a PNG with a chunk that passes the file's end.

    OpenCV reserves and clears what a chunk's header declares, whatever is there: gigabytes and
    half a minute for a file of a kilobyte.
    """
    if not data.startswith(PNG_SIGNATURE):
        return
    position = len(PNG_SIGNATURE)
    while data[position + 4 : position + 8] != b"IEND":
        position += 12 + int.from_bytes(data[position : position + 4], "big")
        if position >= len(data):
            raise InvalidImageError(CORRUPT)


def _too_many_pixels(limits: ImageLimits) -> str:
    return f"over the limit of {limits.max_pixels / 1e6:g} megapixels: send a smaller one"
