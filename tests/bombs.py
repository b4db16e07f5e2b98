"""Small files of other formats than PNG that declare or repeat much."""

from __future__ import annotations

import io
import struct

from PIL import Image as PillowImage

SIDE = 10
FRAMES = 20_000
LZW = b"\x02\x02\x4c\x01\x00"
"""Of a GIF: one row of one pixel."""


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def size_in_24_bits(*values: int) -> bytes:
    return b"".join(struct.pack("<I", value)[:3] for value in values)


def canvas(side: int, *, film: bool = False) -> bytes:
    return webp_chunk(b"VP8X", bytes([2 * film, 0, 0, 0]) + size_in_24_bits(side - 1, side - 1))


def webp_picture(side: int) -> bytes:
    """The one chunk of a black WebP."""
    file = io.BytesIO()
    PillowImage.new("RGB", (side, side)).save(file, "WEBP", lossless=True)
    return file.getvalue()[12:]


def webp_film(side: int) -> bytes:
    frame = size_in_24_bits(0, 0, 1, 1, 100) + bytes(1) + webp_picture(2)
    film = webp_chunk(b"ANIM", bytes(6)) + webp_chunk(b"ANMF", frame) * FRAMES
    return riff(canvas(side, film=True), film)


def gif(side: int, frame: int, frames: int, comment: bytes = b"") -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + LZW
    return head + comment + picture * frames + b"\x3b"


def tiff(content: bytes, *entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """Of 10 x 10 grey pixels in one deflated strip; ``entries``: tag, type, count, value."""
    start = 8 + 2 + 12 * (9 + len(entries)) + 4
    shape = {256: SIDE, 257: SIDE, 258: 8, 259: 8, 262: 1, 273: start, 277: 1, 278: SIDE}
    usual = [(tag, 4, 1, value) for tag, value in (shape | {279: len(content)}).items()]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted([*usual, *entries]))
    count = struct.pack("<IH", 8, 9 + len(entries))
    return b"II*\0" + count + directory + struct.pack("<I", following) + content


def jpeg_with_two_sizes(first: int, second: int) -> bytes:
    file = io.BytesIO()
    PillowImage.new("L", (16, 16)).save(file, "JPEG")
    data = file.getvalue()
    start = data.index(b"\xff\xc0")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    frame = data[start:end]
    sizes = [frame[:5] + struct.pack(">HH", side, side) + frame[9:] for side in (first, second)]
    return data[:start] + b"".join(sizes) + data[end:]


def jpeg_2000(side: int) -> bytes:
    """Only its head: it is no format of ours, whatever OpenCV could read."""
    shape = struct.pack(">IIHBBBB", side, side, 3, 7, 7, 0, 0)
    header = struct.pack(">I4s", 22, b"ihdr") + shape
    return (
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 "
        + struct.pack(">I4s", 8 + len(header), b"jp2h")
        + header
    )


def more_bombs(deflated: bytes) -> dict[str, tuple[bytes, str]]:
    """Name to file and answer. ``deflated``: the 100 pixels of a TIFF."""
    declared = webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", 16382 | 16382 << 14) + bytes(100))
    empty_markers = b"\xff\xfe\0\2" * 200_000
    plain = jpeg_with_two_sizes(16, 16)
    return {
        "webp declared": (riff(declared), "too_large"),
        "webp canvas": (riff(canvas(2**24), webp_picture(SIDE)), "too_large"),
        "webp beyond its canvas": (riff(canvas(SIDE), webp_picture(16_000)), "invalid_image"),
        "webp film": (webp_film(6000), "decoded"),
        "gif declared": (gif(65_535, 1, 1), "too_large"),
        "gif beyond its screen": (gif(SIDE, 65_535, 1), "too_large"),
        "gif film": (gif(6000, 6000, FRAMES), "invalid_image"),
        "gif comments": (
            gif(SIDE, SIDE, 1, b"\x21\xfe" + (b"\xff" + bytes(255)) * 5000 + b"\0"),
            "invalid_image",
        ),
        "tiff of one directory for ever": (tiff(deflated, following=8), "decoded"),
        "tiff in itself": (tiff(deflated, (330, 4, 1, 8)), "decoded"),
        "tiff of many in itself": (tiff(deflated, (330, 4, 2**31 - 1, 8)), "decoded"),
        "tiff with 4 GB of notes": (tiff(deflated, (700, 1, 2**32 - 1, 8)), "decoded"),
        "jpeg of two sizes": (jpeg_with_two_sizes(16, 65_000), "too_large"),
        "jpeg of two sizes, the large one first": (
            jpeg_with_two_sizes(65_000, 16),
            "invalid_image",
        ),
        "jpeg of markers": (plain[:2] + empty_markers + plain[2:], "invalid_image"),
        "jpeg 2000": (jpeg_2000(40_000), "invalid_image"),
    }
