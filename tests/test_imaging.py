"""What decodes gives the right pixels; what does not is refused, early, with one of two errors."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageOps

from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.imaging import (
    FORMATS,
    ImageLimits,
    decode,
    decode_pixels,
    encode_jpeg,
    is_jpeg,
    pixels_told,
    read_size,
    reduced,
)
from serve_app.types import Image

LIMITS = ImageLimits()
HEIGHT, WIDTH = 30, 44

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("JPEG", {"quality": 95, "subsampling": 0}),
    "JPEG progressive": ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
    "PNG": ("PNG", {}),
    "BMP": ("BMP", {}),
    "WEBP lossless": ("WEBP", {"lossless": True}),
    "WEBP": ("WEBP", {"quality": 95}),
    "TIFF": ("TIFF", {}),
    "TIFF LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF JPEG": ("TIFF", {"compression": "jpeg"}),
    "GIF": ("GIF", {}),
}


def smooth() -> Image:
    """Different on every side, so that no turn or mirroring leaves it as it was."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    bands = [rows * 8, columns * 5, 255 - rows * 3 - columns * 3]
    return np.stack(bands, axis=-1).astype(np.uint8)


PICTURE = PillowImage.fromarray(smooth())


def encoded(picture: PillowImage.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


FILES = {name: encoded(PICTURE, form, **options) for name, (form, options) in VARIANTS.items()}


def difference(found: Image, expected: Image) -> int:
    assert found.shape == expected.shape
    return int(np.abs(found.astype(int) - expected.astype(int)).max())


# --- what decodes ---


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_rgb_pixels(name: str) -> None:
    image = decode(FILES[name], LIMITS)
    assert image.dtype == np.uint8
    exact = name in {"PNG", "BMP", "TIFF", "TIFF LZW", "WEBP lossless"}
    assert difference(image, smooth()) <= (0 if exact else 40 if name == "GIF" else 16)
    assert read_size(FILES[name], LIMITS) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("form", FORMATS)
def test_one_pixel_is_an_image(form: str) -> None:
    image = decode(encoded(PICTURE.crop((0, 0, 1, 1)), form), LIMITS)
    assert difference(image, smooth()[:1, :1]) <= 2


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "PNG"),
        ("LA", "PNG"),
        ("1", "PNG"),
        ("P", "PNG"),
        ("P", "BMP"),
        ("P", "GIF"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
    ],
)
def test_other_colour_models_become_rgb(mode: str, form: str) -> None:
    picture = PICTURE.convert(mode)
    options = {"quality": 100} if form == "JPEG" else {}
    image = decode(encoded(picture, form, **options), LIMITS)
    assert image.dtype == np.uint8
    lossy = 3 if form == "JPEG" else 0
    assert difference(image, np.asarray(picture.convert("RGB"))) <= lossy


def test_transparency_is_dropped() -> None:
    picture = PICTURE.convert("RGBA")
    picture.putalpha(7)
    assert difference(decode(encoded(picture, "PNG"), LIMITS), smooth()) == 0


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(suffix: str, channels: int) -> None:
    # cv2 writes BGR; a factor of 257 takes 0..255 to 0..65535.
    wide = smooth()[:, :, ::-1].astype(np.uint16) * 257
    expected = smooth()
    if channels == 1:
        wide, expected = wide[:, :, 0], np.repeat(smooth()[:, :, 2:], 3, axis=2)
    _, file = cv2.imencode(suffix, wide)
    assert difference(decode(file.tobytes(), LIMITS), expected) <= 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(form: str, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    stored = PICTURE
    undo = {  # what a camera stores so that its viewer's turn makes the picture upright
        2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
        3: PillowImage.Transpose.ROTATE_180,
        4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
        5: PillowImage.Transpose.TRANSPOSE,
        6: PillowImage.Transpose.ROTATE_90,
        7: PillowImage.Transpose.TRANSVERSE,
        8: PillowImage.Transpose.ROTATE_270,
    }
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    if form == "JPEG":
        options = {"quality": 100, "subsampling": 0}
    data = encoded(stored, form, exif=exif, **options)
    assert difference(decode(data, LIMITS), smooth()) <= (16 if form == "JPEG" else 0)
    with PillowImage.open(io.BytesIO(data)) as other:  # a second opinion
        assert ImageOps.exif_transpose(other).size == (WIDTH, HEIGHT)


def test_encoding_keeps_colours_in_their_order() -> None:
    assert difference(decode(encode_jpeg(smooth(), quality=100), LIMITS), smooth()) <= 16
    assert len(encode_jpeg(smooth(), quality=20)) < len(encode_jpeg(smooth(), quality=95))


# --- a JPEG made smaller while it is decoded ---

REDUCIBLE: dict[str, tuple[str, dict[str, Any]]] = {
    "colour": ("RGB", {}),
    "progressive": ("RGB", {"progressive": True}),
    "4:4:4": ("RGB", {"subsampling": 0}),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
}


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("name", REDUCIBLE)
def test_a_reduced_jpeg_is_the_mean_of_its_pixels(name: str, reduction: int) -> None:
    mode, options = REDUCIBLE[name]
    large = PICTURE.resize((WIDTH * 8, HEIGHT * 8), PillowImage.Resampling.BICUBIC)
    data = encoded(large.convert(mode), "JPEG", quality=95, **options)
    size = read_size(data, LIMITS)
    image = decode_pixels(data, size, LIMITS, reduction)
    assert image.shape == (HEIGHT * 8 // reduction, WIDTH * 8 // reduction, 3)
    whole = decode(data, LIMITS)
    means = cv2.resize(whole, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(image.astype(int) - means).mean() < 2


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(44, 30), (41, 33), (16, 9), (1, 1)])
def test_sides_of_a_reduced_jpeg_are_rounded_up(size: tuple[int, int], reduction: int) -> None:
    data = encoded(PICTURE.resize(size), "JPEG")
    image = decode_pixels(data, size, LIMITS, reduction)
    assert image.shape[1::-1] == reduced(size, reduction)


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_reduced_jpeg_must_agree_with_its_header(reduction: int) -> None:
    with pytest.raises(InvalidImageError, match="disagree"):
        decode_pixels(FILES["JPEG"], (WIDTH + reduction, HEIGHT), LIMITS, reduction)


def test_a_lossless_jpeg_stays_whole() -> None:
    """It has no coefficients. Grey: every difference to the pixel before is 0."""
    frame = bytes([8, 0, 16, 0, 24, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    table = bytes([0, 1, *[0] * 15, 0])  # one code, a single bit, for the difference 0
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 1, 0, 0])  # of predictor 1
    parts = [(0xC3, frame), (0xC4, table), (0xDA, scan)]
    segments = [
        bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
        for marker, content in parts
    ]
    data = b"\xff\xd8" + b"".join(segments) + bytes(3 * 16 * 24 // 8) + b"\xff\xd9"
    size = read_size(data, LIMITS)
    assert size == (24, 16)
    whole = decode(data, LIMITS)
    np.testing.assert_array_equal(decode_pixels(data, size, LIMITS, 4), whole)


@pytest.mark.parametrize("name", FILES)
def test_jpegs_are_known(name: str) -> None:
    assert is_jpeg(FILES[name]) == (name in {"JPEG", "JPEG progressive"})


# --- what is refused ---


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 1.0])
def test_a_truncated_file_is_refused(name: str, kept: float) -> None:
    data = FILES[name]
    with pytest.raises(InvalidImageError):
        decode(data[: min(int(len(data) * kept), len(data) - 1)], LIMITS)


def test_a_flipped_bit_is_found_by_the_checksum() -> None:
    data = bytearray(FILES["PNG"])
    data[len(data) // 2] ^= 4
    with pytest.raises(InvalidImageError, match="truncated or corrupt"):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"GIF89a", b"\xff\xd8\xff", b"not an image at all", b"<svg/>", b"%PDF-1.7\n%"],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImageError):
        decode(data, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        FILES["PNG"][:16] + bytes(8) + FILES["PNG"][24:],
        b"GIF89a" + bytes(7) + b";",
        FILES["BMP"][:18] + bytes(8) + FILES["BMP"][26:],
    ],
    ids=["PNG", "GIF", "BMP"],
)
def test_an_image_without_pixels_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImageError):
        decode(data, LIMITS)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [(2**20 + 1, 1), (1, 2**20 + 1)])
def test_a_side_beyond_the_decoders_own_limit_is_refused(form: str, size: tuple[int, int]) -> None:
    data = encoded(PillowImage.new("L", size), form)
    with pytest.raises(InvalidImageError):
        decode(data, LIMITS)


def test_a_known_format_that_is_not_offered_is_refused() -> None:
    with pytest.raises(InvalidImageError, match="JPEG, PNG"):
        decode(encoded(PICTURE, "PPM"), LIMITS)


# --- limits ---


def test_bytes_are_limited() -> None:
    data = FILES["PNG"]
    assert decode(data, ImageLimits(max_bytes=len(data))).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(TooLargeError, match=f"{len(data)} bytes"):
        decode(data, ImageLimits(max_bytes=len(data) - 1))


def test_pixels_are_limited_by_their_product() -> None:
    exact = ImageLimits(max_pixels=WIDTH * HEIGHT)
    assert decode(FILES["PNG"], exact).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(TooLargeError, match="44 x 30"):
        decode(FILES["PNG"], ImageLimits(max_pixels=WIDTH * HEIGHT - 1))


# --- hostile bytes ---

hostile = hypothesis_settings(max_examples=200, deadline=None)
SMALL = ImageLimits(max_bytes=20_000, max_pixels=100_000)


def decode_or_refuse(data: bytes) -> None:
    try:
        image = decode(data, SMALL)
    except (InvalidImageError, TooLargeError):
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert 0 < image.shape[0] * image.shape[1] <= SMALL.max_pixels


SIGNATURES = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"GIF89a",
    b"II*\0\x08\0\0\0",
    b"MM\0*",
    b"RIFF\x20\0\0\0WEBPVP8 ",
]


@hostile
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(signature: bytes, rest: bytes) -> None:
    decode_or_refuse(signature + rest)


@hostile
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
    st.binary(max_size=20),
)
def test_mutated_files_raise_nothing_else(
    name: str, edits: list[tuple[float, int]], cut: float, inserted: bytes
) -> None:
    data = bytearray(FILES[name])
    for where, value in edits:
        # Squared: most edits fall into the header, where most mistakes can be made.
        data[int(where**2 * (len(data) - 1))] = value
    at = int(cut * len(data))
    decode_or_refuse(bytes(data[:at] + inserted + data[at:]))


@hostile
@given(
    st.sampled_from([b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"tEXt", b"IEND", b"aaaa"]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=30),
)
def test_png_chunks_raise_nothing_else(kind: bytes, length: int, content: bytes) -> None:
    header = FILES["PNG"][:33]  # signature and IHDR
    decode_or_refuse(header + length.to_bytes(4, "big") + kind + content + FILES["PNG"][33:])


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_a_side_beyond_opencvs_limit_is_an_invalid_image(kind: str) -> None:
    file = io.BytesIO()
    PillowImage.new("RGB", (1_100_000, 1)).save(file, kind)
    with pytest.raises(InvalidImageError):
        decode(file.getvalue(), ImageLimits())


@pytest.mark.parametrize("extension", [".png", ".bmp", ".gif"])
def test_pixels_are_told_by_the_first_bytes(extension: str) -> None:
    file = io.BytesIO()
    PillowImage.new("RGB", (70, 300)).save(file, extension[1:])
    assert pixels_told(file.getvalue()) == 70 * 300


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF8", b"\xff\xd8\xff", b"x"])
def test_of_other_bytes_no_pixels_are_told(data: bytes) -> None:
    assert pixels_told(data) == 0
    assert pixels_told(data + bytes(5)) == 0
