"""Small files that would cost much memory or time are refused before they do."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.imaging import MAX_SCANS, ImageLimits, decode
from tests.bombs import more_bombs

LIMITS = ImageLimits()
SIDE = 10
BLACK_ROWS = bytes((1 + 3 * SIDE) * SIDE)


def chunk(kind: bytes, content: bytes, *, declared: int | None = None) -> bytes:
    """A chunk of a PNG; ``declared``: another length than its own."""
    length = len(content) if declared is None else declared
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", length) + kind + content + struct.pack(">I", checksum)


def deflated(content: bytes, times: int = 1) -> bytes:
    compressor = zlib.compressobj()
    return b"".join(compressor.compress(content) for _ in range(times)) + compressor.flush()


def png(*after: bytes, side: int = SIDE, rows: bytes = BLACK_ROWS, times: int = 1) -> bytes:
    """A black RGB PNG; ``after``: chunks between its image data and its end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    image_data = chunk(b"IDAT", deflated(rows, times))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, image_data, *after, chunk(b"IEND", b"")])


def png_after_header(*chunks: bytes) -> bytes:
    data = png()
    end = data.index(b"IDAT") - 4
    return data[:end] + b"".join(chunks) + data[end:]


def tiled_tiff(tile: int) -> bytes:
    """A black TIFF of 10 x 10 pixels in one deflated tile."""
    content = deflated(bytes(tile), tile)
    start = 8 + 2 + 12 * 10 + 4
    entries = {256: SIDE, 257: SIDE, 258: 8, 259: 8, 262: 1, 277: 1}
    entries |= {322: tile, 323: tile, 324: start, 325: len(content)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + content


def jpeg(form: str, side: int, *, progressive: bool = False) -> bytes:
    buffer = io.BytesIO()
    picture = PillowImage.new("L", (side, side), 128)
    if form == "JPEG":
        picture.save(buffer, form, progressive=progressive)
    else:
        picture.save(buffer, form, compression="jpeg")
    return buffer.getvalue()


def with_scans(data: bytes, scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated until it has ``scans``."""
    starts = [found.start() for found in re.finditer(b"\xff\xda", data)]
    return data[:-2] + data[starts[-1] : -2] * (scans - len(starts)) + data[-2:]


MORE = more_bombs(deflated(bytes(100)))


def bombs() -> dict[str, bytes]:
    text = b"a\0\1\0\0\0" + deflated(bytes(7_000_000))
    return {
        # 4.8 GB of pixels
        "declared size": png(side=40_000),
        # OpenCV takes 4 GB and half a minute to learn that they are not there.
        "declared length": png(chunk(b"IDAT", b"", declared=0xFFFF0000)),
        # A tile just below what OpenCV refuses itself: 1 GB for ten pixels.
        "tile": tiled_tiff(16_000),
        # Each scan is a pass over 36 million pixels: 50 ms for 14 bytes.
        "scans": with_scans(jpeg("JPEG", 6000, progressive=True), 1000),
        # 400 MB of image data for ten rows
        "rows": png(rows=bytes(1_000_000), times=400),
        # All texts are inflated, and kept.
        "texts": png(*[chunk(b"iTXt", text)] * 100),
        # A colour profile, and a text, of 1 GB.
        "profile": png_after_header(chunk(b"iCCP", b"a\0\0" + deflated(bytes(10**6), 1000))),
        "long text": png_after_header(chunk(b"zTXt", b"a\0\0" + deflated(bytes(10**6), 1000))),
    } | {name: content for name, (content, _) in MORE.items()}


ANSWERS = {
    "declared size": "too_large",
    "declared length": "invalid_image",
    "tile": "too_large",
    "scans": "too_large",
    "rows": "invalid_image",
    "texts": "decoded",
    "profile": "invalid_image",
    "long text": "invalid_image",
} | {name: answer for name, (_, answer) in MORE.items()}

MEASURE = """
import resource, sys, time
from pathlib import Path
from serve_app.errors import FaceServeError
from serve_app.imaging import ImageLimits, decode

for file in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        decode(Path(file).read_bytes(), ImageLimits())
        answer = "decoded"
    except FaceServeError as error:
        answer = error.code
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(answer, after.ru_maxrss - before.ru_maxrss, after.ru_utime - before.ru_utime)
"""


def test_bombs_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    """In a process of its own: its peak tells what is allocated outside Python, too."""
    files = {"usual": png()} | bombs()  # first what any decoding costs
    for name, content in files.items():
        assert len(content) < 2_000_000
        (tmp_path / name).write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in files)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in run.stdout.splitlines()]
    measured = dict(zip(files, lines, strict=True))
    assert {name: line[0] for name, line in measured.items()} == {"usual": "decoded"} | ANSWERS
    dear = {name: kib for name, (_, kib, _) in measured.items() if int(kib) > 50 * 1024}
    slow = {name: seconds for name, (*_, seconds) in measured.items() if float(seconds) > 1}
    assert (dear, slow) == ({}, {})


@pytest.mark.parametrize("side", [40_000, 7_000])  # above and below Pillow's own limit
def test_a_large_size_is_refused_by_the_header(side: int) -> None:
    data = png(side=side)
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(TooLargeError, match="40 megapixels"):
            decode(data, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert time.monotonic() - started < 2


def test_tiles_count_whole_also_past_the_edge() -> None:
    data = tiled_tiff(256)
    assert decode(data, LIMITS).shape == (SIDE, SIDE, 3)
    assert decode(data, ImageLimits(max_pixels=256 * 256)).shape == (SIDE, SIDE, 3)
    with pytest.raises(TooLargeError, match="tiles"):
        decode(data, ImageLimits(max_pixels=256 * 256 - 1))


def test_tiles_without_a_size_are_refused() -> None:
    data = tiled_tiff(256)
    broken = data.replace(struct.pack("<HHII", 322, 4, 1, 256), struct.pack("<HHII", 322, 4, 1, 0))
    assert broken != data
    with pytest.raises(InvalidImageError):
        decode(broken, LIMITS)


def test_scans_are_limited() -> None:
    usual = jpeg("JPEG", 64, progressive=True)
    assert decode(with_scans(usual, MAX_SCANS), LIMITS).shape == (64, 64, 3)
    with pytest.raises(TooLargeError, match=f"{MAX_SCANS + 1} JPEG scans"):
        decode(with_scans(usual, MAX_SCANS + 1), LIMITS)


def test_scans_in_a_tiff_are_limited() -> None:
    usual = jpeg("TIFF", 64)
    assert decode(usual, LIMITS).shape == (64, 64, 3)
    with pytest.raises(TooLargeError, match="JPEG scans"):
        decode(usual + b"\xff\xda" * MAX_SCANS, LIMITS)


@pytest.mark.parametrize("place", ["segment", "end"])
def test_what_only_looks_like_scans_does_not_count(place: str) -> None:
    """A preview or a colour profile before the picture, a film behind it."""
    usual = jpeg("JPEG", 64)
    content = b"\xff\xda\0\4" * 1000
    if place == "segment":
        segment = b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content
        data = usual[:2] + segment + usual[2:]
    else:
        data = usual + content
    assert decode(data, LIMITS).shape == (64, 64, 3)


def test_scans_cannot_hide_behind_a_marker_without_length() -> None:
    usual = jpeg("JPEG", 64, progressive=True)
    data = with_scans(usual, 1000)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    hidden = data[:second] + b"\xff\x01" + data[second:]
    with pytest.raises(TooLargeError, match="1000 JPEG scans"):
        decode(hidden, LIMITS)


def test_counting_scans_takes_no_time_for_each_filling_byte() -> None:
    data = jpeg("JPEG", 64) + b"\xff" * 2_000_000 + b"\0" + b"\xff\xda" * 1000
    started = time.monotonic()
    assert decode(data, LIMITS).shape == (64, 64, 3)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x80000000, 1_000_000, 100])
@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt", b"eXIf", b"abcd"])
def test_a_chunk_past_the_end_of_a_png_is_refused(kind: bytes, length: int) -> None:
    with pytest.raises(InvalidImageError):
        decode(png(chunk(kind, b"", declared=length)), LIMITS)


def test_more_rows_than_declared_are_refused_where_they_could_cost_much() -> None:
    rows = np.random.default_rng(1).bytes(200_000)
    assert decode(png(rows=BLACK_ROWS + rows), LIMITS).shape == (SIDE, SIDE, 3)
    with pytest.raises(InvalidImageError, match="more pixels"):
        decode(png(rows=BLACK_ROWS + rows), ImageLimits(max_pixels=1000))


def test_a_large_png_within_the_limit_is_decoded() -> None:
    """Its image data is counted: the count may not refuse what is whole."""
    noise = np.random.default_rng(2).integers(0, 256, (400, 500, 4), dtype=np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(noise).save(buffer, "PNG")
    image = decode(buffer.getvalue(), ImageLimits(max_pixels=400 * 500))
    assert np.array_equal(image, noise[:, :, :3])


def test_an_animated_png_is_its_first_picture() -> None:
    buffer = io.BytesIO()
    frames = [PillowImage.new("RGB", (20, 10), colour) for colour in ("red", "green", "blue")]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    image = decode(buffer.getvalue(), LIMITS)
    assert image.reshape(-1, 3).tolist() == [[255, 0, 0]] * 200
