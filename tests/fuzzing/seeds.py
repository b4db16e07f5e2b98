"""Small image files, one or more of each format and of each way to write it: where fuzzing begins.

Each costs a reader something that another does not: passes, tiles, palettes, turned pictures.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from serve_app.imaging import PNG_SIGNATURE
from tests.fakes import BLUE, GREEN, RED, picture

SIDES = (24, 17)
ORIENTATION = 0x0112

FORMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg progressive": ("JPEG", "RGB", {"progressive": True}),
    "jpeg grey": ("JPEG", "L", {}),
    "jpeg cmyk": ("JPEG", "CMYK", {}),
    "jpeg restarts": ("JPEG", "RGB", {"restart_marker_blocks": 1}),
    "png": ("PNG", "RGB", {}),
    "png alpha": ("PNG", "RGBA", {}),
    "png palette": ("PNG", "P", {}),
    "png bits": ("PNG", "1", {}),
    "png 16": ("PNG", "I;16", {}),
    "bmp": ("BMP", "RGB", {}),
    "bmp palette": ("BMP", "P", {}),
    "webp": ("WEBP", "RGB", {}),
    "webp lossless": ("WEBP", "RGBA", {"lossless": True}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff deflate": ("TIFF", "RGB", {"compression": "tiff_deflate"}),
    "tiff lzw": ("TIFF", "L", {"compression": "tiff_lzw"}),
    "tiff jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
    "tiff bits": ("TIFF", "1", {"compression": "group4"}),
    "gif": ("GIF", "P", {}),
}
"""Name to format, Pillow's mode, and how it is saved."""
MARK = "fuzz-mark-7f3a91"
"""Stands where clients have what is nobody else's business: no reply may hold it."""
FILMS = {"gif film": "GIF", "webp film": "WEBP", "png film": "PNG", "jpeg film": "MPO"}


def seeds() -> dict[str, bytes]:
    """Name to file, each below 5 KB."""
    plain = _noise()
    made = {name: _saved(plain.convert(mode), form, how)
            for name, (form, mode, how) in FORMS.items()}  # fmt: skip
    turned = PillowImage.Exif()
    turned[ORIENTATION] = 6
    made["jpeg turned"] = _saved(plain, "JPEG", {"exif": turned})
    made["png turned"] = _saved(plain, "PNG", {"exif": turned})
    film = {"save_all": True, "append_images": [plain.rotate(180)]}
    made |= {name: _saved(plain, form, film) for name, form in FILMS.items()}
    return made | {"faces": picture(RED, GREEN)}


def faces() -> list[bytes]:
    """Files that show one face or two: to the fakes, and to real networks where scikit-image is."""
    found = [picture(RED), picture(GREEN, BLUE)]
    with contextlib.suppress(ImportError):
        from skimage import data

        portrait = PillowImage.fromarray(data.astronaut()[0:300, 80:380])
        found.append(_saved(portrait, "JPEG", {"quality": 50}))
    return found


def marked(data: bytes) -> bytes:
    """A JPEG or PNG with a comment that no picture drawn from it may still have."""
    text = MARK.encode("ascii")
    if data.startswith(PNG_SIGNATURE):
        end = len(PNG_SIGNATURE) + 25  # of the header
        chunk = b"tEXtComment\0" + text
        length, checksum = len(chunk) - 4, zlib.crc32(chunk)
        return data[:end] + struct.pack(f">I{len(chunk)}sI", length, chunk, checksum) + data[end:]
    return data[:2] + struct.pack(f">HH{len(text)}s", 0xFFFE, len(text) + 2, text) + data[2:]


def _noise() -> PillowImage.Image:
    """The same every time, so that a crash can be had again."""
    pixels = np.random.default_rng(8).integers(0, 256, (SIDES[1], SIDES[0], 3), dtype=np.uint8)
    return PillowImage.fromarray(pixels)


def _saved(image: PillowImage.Image, form: str, how: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()
