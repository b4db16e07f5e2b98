"""``make bench-forms``: what the API layer costs an infer request in each form of its body.

The whole application in this process, over stages that answer at once: what is left is reading the
body, routing, parsing, making an image file of it, and the reply. The forms take turns, so that a
busy moment of the machine hits all of them; the least of the rounds counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import numpy as np
import pybase64
from starlette.types import ASGIApp, Message, Scope

from serve_app.api.app import create_app
from serve_app.config import Limits, PipelineConfig
from serve_app.service import GalleryService, JobService, RecognitionService, RecordService
from serve_app.types import CROP_SIZE, Candidate, Embeddings, Face, Metric, SearchResult

ROUNDS = 15
CHUNK = 64 * 1024
"""Bytes of a body that servers hand over at once."""
BOUNDARY = "----------------------------d74496d66958873e"

Sent = tuple[bytes, str, bytes]
"""A body, its content type, and the query."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kilobytes", type=int, nargs="+", default=[16, 200, 2000, 9000])
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    options = parser.parse_args()
    app = application()
    print("CPU-ms a request, by the size of the image file\n")
    print("| | " + " | ".join(f"{size} KB" for size in options.kilobytes) + " |")
    print("|---|" + "---|" * len(options.kilobytes))
    columns = [measured(app, options.forms, size * 1000) for size in options.kilobytes]
    for form in options.forms:
        print(f"| {form} | " + " | ".join(f"{column[form]:.2f}" for column in columns) + " |")


def measured(app: ASGIApp, forms: Sequence[str], size: int) -> dict[str, float]:
    """CPU-ms a request of each form."""
    image = os.urandom(size)  # nobody decodes it
    sent = {form: FORMS[form](image) for form in forms}
    times = max(3, min(200, 20_000_000 // size))
    least = dict.fromkeys(forms, float("inf"))
    with asyncio.Runner() as runner:
        for _ in range(ROUNDS):
            for form in forms:
                started = time.process_time()
                runner.run(repeat(app, sent[form], times))
                spent = (time.process_time() - started) * 1000 / times
                least[form] = min(least[form], spent)
    return least


async def repeat(app: ASGIApp, sent: Sent, times: int) -> None:
    for _ in range(times):
        await request(app, sent)


async def request(app: ASGIApp, sent: Sent) -> None:
    body, content_type, query = sent
    path = "/face-recognition-infer"
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [
            (b"host", b"service"),
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    starts = iter(range(0, len(body), CHUNK))

    async def receive() -> Message:
        start = next(starts, None)
        if start is None:
            await asyncio.get_running_loop().create_future()  # the client waits
            raise AssertionError("nobody ends it")
        end = start + CHUNK
        return {
            "type": "http.request",
            "body": body[start:end],
            "more_body": end < len(body),
        }

    statuses = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    assert statuses == [200], statuses


def in_json(image: bytes) -> Sent:
    encoded = pybase64.b64encode(image)
    return (
        b'{"image": "' + encoded + b'", "indexKey": "g", "visualize": false}',
        "application/json",
        b"",
    )


def bare(image: bytes) -> Sent:
    return image, "image/jpeg", b"indexKey=g&visualize=false"


def in_multipart(image: bytes) -> Sent:
    parts = [
        b'name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n' + image,
        b'name="indexKey"\r\n\r\ng',
        b'name="visualize"\r\n\r\nfalse',
    ]
    start = f"--{BOUNDARY}\r\n".encode()
    body = b"".join(start + b"Content-Disposition: form-data; " + p + b"\r\n" for p in parts)
    end = f"--{BOUNDARY}--\r\n".encode()
    return body + end, f"multipart/form-data; boundary={BOUNDARY}", b""


def in_msgpack(image: bytes) -> Sent:
    return packed(image)


def as_uint8(image: bytes) -> Sent:
    """As many bytes of pixels as the file has."""
    pixels = len(image) // 3 // 4 * 4
    shape = [4, pixels // 4, 3]
    return packed({"shape": shape, "dtype": "uint8", "data": image[: pixels * 3]})


def as_float32(image: bytes) -> Sent:
    """As many bytes of pixels as the file has, a quarter of the pixels of ``as_uint8``."""
    pixels = len(image) // 12 // 4 * 4
    values = np.frombuffer(image[: pixels * 3], np.uint8).astype("<f4")
    array = {"shape": [4, pixels // 4, 3], "dtype": "float32", "data": values.tobytes()}
    return packed(array)


def packed(image: Any) -> Sent:
    body = msgpack.packb({"image": image, "indexKey": "g", "visualize": False})
    return body, "application/msgpack", b""


FORMS: dict[str, Callable[[bytes], Sent]] = {
    "JSON, base64": in_json,
    "image/jpeg": bare,
    "multipart/form-data": in_multipart,
    "msgpack, file": in_msgpack,
    "msgpack, uint8 array": as_uint8,
    "msgpack, float32 array": as_float32,
}


class OneFace:
    """The three stages at no cost: one face in every image, and one candidate."""

    def __init__(self) -> None:
        crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
        self._faces = [Face((0.0, 0.0, 9.0, 9.0), 0.9, crop)]
        self._embeddings = Embeddings("none", np.full((1, 4), 0.5, np.float32))
        self._found = SearchResult(Metric.IP, [[Candidate(0, "anna", 0.9)]])

    async def detect(self, *_: object) -> list[Face]:
        return self._faces

    async def extract(self, *_: object) -> Embeddings:
        return self._embeddings

    async def search(self, *_: object, **__: object) -> SearchResult:
        return self._found


def application() -> ASGIApp:
    stages: Any = OneFace()
    nothing: Any = None  # no URLs, galleries or jobs are asked for
    config = PipelineConfig()
    service = RecognitionService(stages, stages, stages, config)
    return create_app(
        service,
        GalleryService(nothing),
        JobService(nothing, ()),
        RecordService(nothing, nothing),
        nothing,
        config,
        Limits(),
    )


if __name__ == "__main__":
    main()
