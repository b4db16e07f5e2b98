"""Bad input through the real proxy: a clear 4xx in time, bounded memory, and the next one works."""

from __future__ import annotations

import base64
import io
import time
import zlib
from collections.abc import Iterator

import httpx
import pytest
import requests
from PIL import Image

from tests.integration.service import Service

INFER = "/face-recognition-infer"


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in a few hundred kilobytes."""
    side = 30_000

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    packed = zlib.compress(b"\0" * (side + 1) * 200)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg(size: tuple[int, int] = (400, 300)) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


BAD_IMAGES = {
    "truncated": (encoded(jpeg()[:-2000]), 422),
    "corrupt": (encoded(b"\xff\xd8\xff\xe0" + bytes(5000)), 422),
    "bomb": (encoded(bomb()), 413),
    "over 10 MiB": (encoded(b"\xff\xd8\xff" + bytes(10 * 1024 * 1024)), 413),
    "over 40 megapixels": (encoded(jpeg((8000, 5001))), 413),
    "wrong base64": ("this is not base64!", 422),
    "empty": ("", 422),
    "loopback": ("http://127.0.0.1/a.jpg", 422),
    "metadata": ("http://169.254.169.254/latest/meta-data", 422),
    "decimal": ("http://2130706433/a.jpg", 422),
    "hex": ("http://0x7f000001/a.jpg", 422),
    "mapped": ("http://[::ffff:127.0.0.1]/a.jpg", 422),
    "file": ("file:///etc/passwd", 422),
}


@pytest.fixture(scope="module")
def gallery(service: Service) -> str:
    from tests.integration.test_a_service import portrait

    pair = {"image": encoded(portrait()), "label": "Eileen Collins"}
    reply = service.post("/face-recognition-index-build", {"imageLabelPairs": [pair]})
    key: str = reply.json()["result"]["indexKey"]
    return key


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_image(service: Service, gallery: str, name: str) -> None:
    image, status = BAD_IMAGES[name]
    started = time.monotonic()
    reply = service.post(INFER, {"image": image, "indexKey": gallery})
    assert reply.status_code == status, reply.text
    assert reply.json()["errorCode"] == status
    assert time.monotonic() - started < 15
    assert_well(service)


def test_one_pixel_and_no_face_are_fine(service: Service, gallery: str) -> None:
    for image in (jpeg((1, 1)), jpeg()):
        reply = service.post(INFER, {"image": encoded(image), "indexKey": gallery})
        assert reply.status_code == 200
        assert reply.json()["result"]["faces"] == []


def test_enrolling_an_image_without_a_face_names_its_position(
    service: Service, gallery: str
) -> None:
    pairs = [{"image": encoded(jpeg()), "label": "nobody"}]
    body = {"imageLabelPairs": pairs, "indexKey": gallery}
    reply = service.post("/face-recognition-index-add", body)
    assert reply.status_code == 422
    assert "position 0: no face found" in reply.json()["errorMsg"]
    after = service.post("/face-recognition-index-remove", {"ids": [], "indexKey": gallery})
    assert after.json()["result"]["imageCount"] == 1


@pytest.mark.parametrize("key", ["a/b", "..", "a\0b", "x" * 10_000, ""])
def test_bad_gallery_key(service: Service, key: str) -> None:
    reply = service.post(INFER, {"image": encoded(jpeg()), "indexKey": key})
    assert reply.status_code == 422
    assert len(reply.text) < 1000


@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_64_mib_is_answered_before_it_was_sent_in_vain(
    service: Service, *, chunked: bool
) -> None:
    mebibyte = b" " * (1024 * 1024)

    def parts() -> Iterator[bytes]:
        for _ in range(80):
            yield mebibyte

    body = parts() if chunked else mebibyte * 80
    headers = {"Content-Type": "application/json"}
    reply = requests.post(service.url + INFER, data=body, headers=headers, timeout=60)
    assert reply.status_code == 413
    assert reply.json()["errorCode"] == 413
    assert_well(service)


def test_memory_stays_bounded(service: Service, gallery: str) -> None:
    ingress = service.replicas("Ingress")[0]
    detector = service.replicas("Detector")[0]
    before = [process.memory_info().rss for process in (ingress, detector)]
    for name in ("bomb", "over 40 megapixels", "over 10 MiB", "truncated") * 5:
        service.post(INFER, {"image": BAD_IMAGES[name][0], "indexKey": gallery})
    after = [process.memory_info().rss for process in (ingress, detector)]
    for start, end in zip(before, after, strict=True):
        assert end - start < 200 * 1024 * 1024


def assert_well(service: Service) -> None:
    reply = httpx.get(f"{service.url}/health", timeout=5, trust_env=False)
    assert reply.status_code == 200
    assert reply.json()["errorMsg"] == "Healthy"
