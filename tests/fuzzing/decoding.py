"""What must hold of the service's own decoding, whatever the bytes are; and PNGs made whole again.

Must not know who changes the bytes.
"""

from __future__ import annotations

import struct
import zlib

from serve_app.errors import FaceServeError
from serve_app.imaging import (
    PNG_SIGNATURE,
    READERS,
    ImageLimits,
    decode,
    decode_pixels,
    is_jpeg,
    pixels_told,
    read_size,
    reduced,
)

MAX_BYTES = 16 * 1024
LIMITS = ImageLimits(max_bytes=MAX_BYTES, max_pixels=4_000_000)
"""A tenth of the service's pixels, so that memory beyond what they take stands out."""


def check(data: bytes) -> None:
    """Raises whatever is wrong with how ``data`` is decoded: any error but our own, AssertionError
    for a result that is no picture of the size that was told."""
    pixels_told(data)
    try:
        size = read_size(data, LIMITS)
        picture = decode(data, LIMITS)
    except FaceServeError:
        return
    assert picture.dtype == "uint8"
    assert picture.shape in _shapes(size)
    assert size[0] * size[1] <= LIMITS.max_pixels
    for reduction in READERS if is_jpeg(data) else ():
        try:
            smaller = decode_pixels(data, size, LIMITS, reduction)
        except FaceServeError:
            continue
        assert smaller.shape in _shapes(size) | _shapes(reduced(size, reduction))


def repaired(data: bytes) -> bytes:
    """A PNG with checksums that are right: else no change inside of a chunk is read further than
    that. All else as it is."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    result, start = bytearray(data), len(PNG_SIGNATURE)
    while start + 12 <= len(result):
        (length,) = struct.unpack_from(">I", result, start)
        end = start + 8 + length
        if end + 4 > len(result):
            break
        struct.pack_into(">I", result, end, zlib.crc32(result[start + 4 : end]))
        start = end + 4
    return bytes(result)


def _shapes(size: tuple[int, int]) -> set[tuple[int, int, int]]:
    """As it lies in the file, and turned by EXIF."""
    width, height = size
    return {(height, width, 3), (width, height, 3)}
