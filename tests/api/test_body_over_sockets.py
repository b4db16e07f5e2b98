"""The body reader behind a real server: what a client of another make gets to see."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import requests
import uvicorn

from serve_app.config import Limits
from tests.api.harness import INFER, Api, wire
from tests.fakes import RED, picture

MIB = 1024 * 1024


@contextlib.contextmanager
def running(limits: Limits) -> Iterator[tuple[str, int, Api]]:
    api = Api(limits=limits)
    config = uvicorn.Config(api.app, host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield host, port, api
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with running(Limits(body_bytes=8 * MIB, body_timeout_s=0.5)) as (host, port, _):
        yield host, port


def body_of(size: int, pieces: bool) -> bytes | Iterator[bytes]:
    return (bytes(64 * 1024) for _ in range(size // (64 * 1024))) if pieces else bytes(size)


@pytest.mark.parametrize("size", [8 * MIB + 64 * 1024, 14 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
def test_requests_receives_the_answer_to_a_body_that_is_too_large(
    address: tuple[str, int], size: int, chunked: bool
) -> None:
    host, port = address
    response = requests.post(f"http://{host}:{port}{INFER}", data=body_of(size, chunked), timeout=5)
    assert response.status_code == 413
    assert response.json()["errorCode"] == 413
    assert response.headers["connection"] == "close"


def test_a_client_that_expects_continue_is_spared_the_upload(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(
            b"POST /face-recognition-infer HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_body_that_drips_is_408_within_its_deadline(address: tuple[str, int]) -> None:
    started = time.monotonic()
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(
            b"POST /face-recognition-infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        )
        answer = b""
        while not answer:
            connection.sendall(b"x")
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 2


def test_the_next_request_works(address: tuple[str, int]) -> None:
    host, port = address
    body = {"image": wire(picture(RED)), "indexKey": "nope"}
    assert requests.post(f"http://{host}:{port}{INFER}", json=body, timeout=5).status_code == 404


def test_a_client_that_goes_ends_the_work() -> None:
    with running(Limits()) as (host, port, api):
        gate = threading.Event()

        class Gate:
            async def wait(self) -> None:
                import asyncio

                gate.set()
                await asyncio.sleep(60)

        api.detector.gate = Gate()  # type: ignore[assignment]
        body = b'{"image": "%s", "indexKey": "g"}' % wire(picture(RED)).encode()
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(
                b"POST /face-recognition-infer HTTP/1.1\r\nHost: a\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            assert gate.wait(5)
        deadline = time.monotonic() + 5
        while not api.detector.cancelled and time.monotonic() < deadline:
            time.sleep(0.01)
        assert api.detector.cancelled == 1
