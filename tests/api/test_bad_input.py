"""Bad input, a test for each kind: a clear answer, and the next request works."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as PillowImage

from serve_app.api.app import create_app
from serve_app.config import Limits, PipelineConfig
from serve_app.fetching import Fetcher
from serve_app.service import GalleryService, JobService, RecognitionService, RecordService
from tests.api.harness import ADD, BUILD, INFER, REMOVE, Api, failure, result, wire, wire_pairs
from tests.fakes import BLACK, RED, picture

GOOD = picture(RED)
MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Whatever a test sends, afterwards the service answers as before."""
    api = Api()
    result(await api.build((GOOD, "red"), indexKey="g"))
    started = time.monotonic()
    yield api
    assert time.monotonic() - started < 20
    assert await api.works(GOOD)


def encoded(image: PillowImage.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def noise(form: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return encoded(PillowImage.fromarray(pixels), form)


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG of a header and whatever compressed data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


async def refused(api: Api, image: str, status: int) -> str:
    """The message that infer gives for an image; build and add must refuse it alike."""
    told = failure(await api.post(INFER, {"image": image, "indexKey": "g"}), status)
    pairs = [{"image": wire(GOOD), "label": "good"}, {"image": image, "label": "bad"}]
    for body in ({"imageLabelPairs": pairs}, {"imageLabelPairs": pairs, "indexKey": "g"}):
        path = ADD if "indexKey" in body else BUILD
        message = failure(await api.post(path, body), status)
        assert message == f"nothing was enrolled, 1 of 2 pairs failed: position 1: {told}"
    return told


@pytest.mark.parametrize("path", [BUILD, ADD, REMOVE, INFER, "/nope"])
async def test_a_body_over_64_mib(api: Api, path: str) -> None:
    body = bytes(64 * MIB + 1)
    message = failure(await api.send("POST", path, content=body, headers=JSON), 413)
    assert "over the limit of 67108864 bytes" in message


async def test_an_image_over_10_mib(api: Api) -> None:
    large = wire(bytes(10 * MIB + 1))
    assert "over the limit of 10485760 bytes" in await refused(api, large, 413)


async def test_an_image_of_10_mib_is_looked_at(api: Api) -> None:
    assert "not an image" in await refused(api, wire(bytes(10 * MIB)), 422)


async def test_an_image_over_40_megapixels(api: Api) -> None:
    assert "40 megapixels" in await refused(api, wire(png(8001, 5000)), 413)


async def test_a_decompression_bomb(api: Api) -> None:
    bomb = png(60_000, 60_000, bytes(8 * MIB))
    assert len(bomb) < 10_000
    assert "megapixels" in await refused(api, wire(bomb), 413)


async def test_an_image_whose_header_hides_the_bomb(api: Api) -> None:
    await refused(api, wire(png(8, 8, bytes(64 * MIB))[:-200]), 422)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
async def test_a_truncated_image(api: Api, form: str, part: float) -> None:
    whole = noise(form)
    await refused(api, wire(whole[: int(len(whole) * part)]), 422)


@pytest.mark.parametrize(
    "junk",
    [b"x", b"hello world", b"\x00" * 100, b"\xff\xd8\xff\xe0" + b"A" * 500, b"GIF89a", b"<svg/>"],
)
async def test_what_is_no_image(api: Api, junk: bytes) -> None:
    await refused(api, wire(junk), 422)


async def test_a_corrupt_image(api: Api) -> None:
    data = bytearray(noise("PNG"))
    data[len(data) // 2] ^= 0xFF
    await refused(api, wire(bytes(data)), 422)


async def test_an_empty_image(api: Api) -> None:
    assert "image is empty" in await refused(api, "", 422)


@pytest.mark.parametrize("junk", ["!!!not base64!!!", "abcde", "data:image/png;base64"])
async def test_wrong_base64(api: Api, junk: str) -> None:
    assert junk not in await refused(api, junk, 422)


async def test_an_image_of_no_pixels(api: Api) -> None:
    await refused(api, wire(png(0, 0)), 422)


async def test_an_image_of_one_pixel(api: Api) -> None:
    image = encoded(PillowImage.new("RGB", (1, 1)), "PNG")
    found = result(await api.post(INFER, {"image": wire(image), "indexKey": "g"}))
    assert found["faces"] == []
    assert found["image"].startswith("/9j/")
    assert "no face found" in failure(await api.build((image, "a")), 422)


async def test_an_image_without_a_face(api: Api) -> None:
    body = {"image": wire(picture(BLACK)), "indexKey": "g"}
    assert result(await api.post(INFER, body))["faces"] == []
    assert "position 0: no face found" in failure(await api.build((picture(BLACK), "a")), 422)


@pytest.mark.parametrize("path", [BUILD, ADD])
async def test_an_empty_list(api: Api, path: str) -> None:
    message = failure(await api.post(path, {"imageLabelPairs": [], "indexKey": "g"}), 422)
    assert "body.imageLabelPairs" in message
    assert "at least 1 item" in message


async def test_an_empty_list_of_ids_is_none_to_remove(api: Api) -> None:
    assert result(await api.post(REMOVE, {"ids": [], "indexKey": "g"}))["imageCount"] == 1


@pytest.mark.parametrize(
    "key",
    ["", "/", "a/b", "..", "../g", "g\0", "\0", "g\n", "g\r\nx: y", "g" * 10_000, "g g", "%2e%2e"],
)
@pytest.mark.parametrize("path", [BUILD, ADD, REMOVE, INFER])
async def test_keys_that_are_no_keys(api: Api, path: str, key: str) -> None:
    body = {"image": wire(GOOD), "ids": [0], "imageLabelPairs": wire_pairs((GOOD, "a"))}
    message = failure(await api.post(path, {**body, "indexKey": key}), 422)
    assert "body.indexKey" in message
    assert len(message) < 300


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"{} {}", b"[" * 100_000]
)
@pytest.mark.parametrize("path", [BUILD, ADD, REMOVE, INFER])
async def test_bodies_that_are_no_object(api: Api, path: str, body: bytes) -> None:
    failure(await api.send("POST", path, content=body, headers=JSON), 422)


@pytest.mark.parametrize("word", ["", "Strong", "weak", 0, None, ["strong"], "\0"])
async def test_consistency_that_is_none(api: Api, word: object) -> None:
    body = {"image": wire(GOOD), "indexKey": "g", "consistency": word}
    assert "body.consistency" in failure(await api.post(INFER, body), 422)


@pytest.mark.parametrize("word", ["", "x" * 257, "x" * MIB, "Flat\n", "\0", 5, None, ["Flat"]])
async def test_index_types_that_are_none(api: Api, word: object) -> None:
    message = failure(await api.build((GOOD, "a"), indexType=word), 422)
    assert "body.indexType" in message
    assert len(message) < 300


@pytest.mark.parametrize("fields", [{"topk": -1}, {"topk": 1001}, {"recThreshold": "NaN"}])
async def test_numbers_out_of_range(api: Api, fields: dict[str, Any]) -> None:
    (name,) = fields
    body = {"image": wire(GOOD), "indexKey": "g", **fields}
    assert f"body.{name}" in failure(await api.post(INFER, body), 422)


async def test_ids_of_thousands_of_digits(api: Api) -> None:
    body = b'{"indexKey": "g", "ids": [' + b"9" * 4000 + b", -" + b"9" * 4000 + b"]}"
    response = await api.send("POST", REMOVE, content=body, headers=JSON)
    assert result(response)["imageCount"] == 1


async def test_a_label_without_end(api: Api) -> None:
    assert "label" in failure(await api.build((GOOD, "x" * MIB)), 422)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/none.jpg",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a.jpg",
        "http://localhost/a.jpg",
        "http://[::1]/",
        "http://",
        "http://user:secret@10.0.0.1/",
    ],
)
async def test_a_url_to_a_private_address(api: Api, url: str) -> None:
    """With the real fetcher; its own tests go further."""
    config, limits = PipelineConfig(), Limits()
    service = RecognitionService(api.detector, api.extractor, api.index, config)
    fetcher = Fetcher(max_bytes=limits.image_bytes, timeout_s=2)
    galleries = GalleryService(api.index)
    jobs = JobService(api.jobs, ())
    records = RecordService(api.records, api.records)
    app = create_app(service, galleries, jobs, records, fetcher, config, limits)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        response = await client.post(INFER, json={"image": url, "indexKey": "g"})
    message = failure(response, 422)
    assert "secret" not in message
    await fetcher.aclose()
