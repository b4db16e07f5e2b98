"""Encoded bytes to pixels and back, with limits that hold before anything is decoded.

Two readers share the work: Pillow parses the header (format and size, without touching a pixel) and
OpenCV decodes, twice as fast as Pillow and strict with truncated files (docs/decisions/0004). They
must agree on the size. What the header's size does not bound (a tile, a thousand scans, compressed
text) is refused or left out here: OpenCV has no limits of its own for it.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage

from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.types import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")

MAX_SCANS = 50
"""Of a JPEG. Encoders write 1 to 20; each costs a pass over all pixels, and 14 bytes make one."""

READERS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
"""OpenCV's flags by reduction. Those with GRAYSCALE say how much only; with COLOR they mean BGR."""

CORRUPT = "image is truncated or corrupt: it can't be decoded whole"


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest image that is decoded: bytes as sent, pixels as its header says."""

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 40_000_000


def leave_threads_to_callers() -> None:
    """Switch OpenCV's own threads off in this process: they pay for single large images only, and
    beside threads and processes that decode and warp they cost a tenth of the processor's time."""
    cv2.setNumThreads(1)


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
                tiled, scans = _tiled_pixels(header), _scans(header, data)
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
    if tiled > limits.max_pixels:
        raise TooLargeError(f"image whose tiles are {_too_many_pixels(limits)}")
    if scans > MAX_SCANS:
        raise TooLargeError(f"image of {scans} JPEG scans, {MAX_SCANS} at most: save it anew")
    return width, height


def pixels_told(data: bytes) -> int:
    """Pixels as the first bytes of a PNG, BMP or GIF tell them, of which nothing is checked; 0 for
    all else. For guesses at cost: in these formats the size in bytes says nothing of that."""
    if data.startswith(PNG_SIGNATURE):
        sides, start = ">II", 16
    elif data.startswith(b"BM"):
        sides, start = "<ii", 18
    elif data.startswith(b"GIF8"):
        sides, start = "<HH", 6
    else:
        return 0
    if len(data) < start + struct.calcsize(sides):
        return 0
    width, height = struct.unpack_from(sides, data, start)
    return abs(int(width) * int(height))


def decode(data: bytes, limits: ImageLimits) -> Image:
    """Pixels (H, W, 3) uint8 RGB of an encoded image, upright (EXIF orientation applied).

    Raises TooLargeError before decoding, InvalidImageError for truncated and corrupt files.
    """
    return decode_pixels(data, read_size(data, limits), limits)


def decode_pixels(
    data: bytes, size: tuple[int, int], limits: ImageLimits, reduction: int = 1
) -> Image:
    """``decode`` of an image whose ``size`` was read. ``reduction``: 2, 4 or 8 gives a JPEG at one
    half, quarter or eighth, its sides rounded up (one without such a form, a lossless one, whole).

    Raises InvalidImageError for truncated and corrupt files.
    """
    if data.startswith(PNG_SIGNATURE):
        data = _plain_png(data, size, limits)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), READERS[reduction])
    except cv2.error:  # its own limits, 2^20 pixels a side among them
        raise InvalidImageError(CORRUPT) from None
    if pixels is None:
        raise InvalidImageError(CORRUPT)
    height, width = pixels.shape[:2]
    found = ((width, height), (height, width))  # EXIF may turn it by 90 degrees
    if size not in found and reduced(size, reduction) not in found:
        raise InvalidImageError("image is corrupt: its header and its pixels disagree")
    return np.asarray(pixels, dtype=np.uint8)


def is_jpeg(data: bytes) -> bool:
    """Whether data that ``read_size`` has accepted is a JPEG (phones' MPO among them)."""
    return data.startswith(b"\xff\xd8")


def reduced(size: tuple[int, int], reduction: int) -> tuple[int, int]:
    """The sides of an image that is decoded at one ``reduction``-th."""
    return -(-size[0] // reduction), -(-size[1] // reduction)


def encode_jpeg(image: Image, quality: int = 85) -> bytes:
    """JPEG bytes of an RGB image (H, W, 3) uint8."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"image of shape {image.shape} can't be written as JPEG")
    return bytes(encoded.tobytes())


TIFF_COMPRESSION, TIFF_TILE_WIDTH, TIFF_TILE_LENGTH = 259, 322, 323
TIFF_JPEG = (6, 7)


def _tiled_pixels(header: PillowImage.Image) -> int:
    """Pixels that are decoded: those of a TIFF's tiles are, also where they pass its edge."""
    tags = getattr(header, "tag_v2", {})
    pixels = 1
    for side, tag in zip(header.size, (TIFF_TILE_WIDTH, TIFF_TILE_LENGTH), strict=True):
        tile = int(tags.get(tag, 1))
        pixels *= -(-side // tile) * tile
    return pixels


JPEG_SCAN, JPEG_END = b"\xda", b"\xd9"
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""A marker that has a length behind it, and the end. 0xff 0x00 is a byte of entropy-coded data."""


def _scans(header: PillowImage.Image, data: bytes) -> int:
    """How many scans a JPEG, alone or in a TIFF, has at most."""
    scans = data.count(b"\xff" + JPEG_SCAN)
    if header.format == "TIFF":
        tags = getattr(header, "tag_v2", {})
        return scans if tags.get(TIFF_COMPRESSION) in TIFF_JPEG else 0
    if not data.startswith(b"\xff\xd8"):
        return 0
    if scans <= MAX_SCANS:
        return scans
    # Some may stand in a preview, a colour profile or a film behind the end: count exactly.
    scans, position = 0, 2
    while (found := JPEG_MARKER.search(data, position)) and found[1] != JPEG_END:
        scans += found[1] == JPEG_SCAN
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return scans


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"}
DEFLATE_RATIO = 1032
"""The most that a byte can inflate to."""


def _plain_png(data: bytes, size: tuple[int, int], limits: ImageLimits) -> bytes:
    """A PNG with the chunks that make its picture only. Raises InvalidImageError.

    OpenCV reserves what a chunk's header declares, keeps every text it can inflate, and inflates
    image data past the last row: a few kilobytes would cost it gigabytes and minutes.
    """
    chunks, image_data = [PNG_SIGNATURE], []
    kind, end = b"", len(PNG_SIGNATURE)
    while kind != b"IEND":
        start, kind = end, data[end + 4 : end + 8]
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            raise InvalidImageError(CORRUPT)
        if kind in PNG_CHUNKS:
            chunks.append(data[start:end])
        if kind == b"IDAT":
            image_data.append(data[start + 8 : end - 4])
    # 16 bits for each of four channels, and a byte for each row of each interlaced pass.
    most = 8 * size[0] * size[1] + 8 * size[1] + 8
    if sum(map(len, image_data)) * DEFLATE_RATIO > 8 * limits.max_pixels:
        _check_inflated(b"".join(image_data), most)
    return b"".join(chunks)


def _check_inflated(content: bytes, most: int, step: int = 65536) -> None:
    """Raise InvalidImageError for a zlib stream of more than ``most`` bytes."""
    stream = zlib.decompressobj()
    try:
        for start in range(0, len(content), step):
            rest = content[start : start + step]
            while rest and not stream.eof:
                most -= len(stream.decompress(rest, step))
                rest = stream.unconsumed_tail
                if most < 0:
                    raise InvalidImageError("image is corrupt: it has more pixels than it declares")
    except zlib.error:
        raise InvalidImageError(CORRUPT) from None


def _too_many_pixels(limits: ImageLimits) -> str:
    return f"over the limit of {limits.max_pixels / 1e6:g} megapixels: send a smaller one"
