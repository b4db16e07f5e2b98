from __future__ import annotations

import asyncio
import gzip
import json
import logging
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.body import BODIES_HELD, BodyReader
from serve_app.request_context import RequestContext, in_request

LIMIT = 1000
GONE: Message = {"type": "http.disconnect"}


class Client:
    """One request, message by message. After the last one the client waits, or is ``gone``."""

    def __init__(
        self, chunks: Iterable[bytes], *, declared: int | None = None, ends: bool = True
    ) -> None:
        messages: list[Message] = [
            {"type": "http.request", "body": c, "more_body": True} for c in chunks
        ]
        if messages and ends:
            messages[-1]["more_body"] = False
        self._messages = messages
        self.headers = [] if declared is None else [(b"content-length", str(declared).encode())]
        self.read = 0
        self.sent: list[Message] = []
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        if not self._messages:
            await self.gone.wait()
            return GONE
        message = self._messages.pop(0)
        self.read += len(message["body"])
        return message

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def request(self, app: ASGIApp) -> None:
        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": self.headers}
        await app(scope, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def message(self) -> str:
        body = json.loads(b"".join(m.get("body", b"") for m in self.sent))
        assert list(body) == ["logId", "errorCode", "errorMsg"]
        return str(body["errorMsg"])


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(await Request(scope, receive).body())(scope, receive, send)


def reader(app: ASGIApp = echo, timeout_s: float = 5) -> BodyReader:
    return BodyReader(app, LIMIT, timeout_s)


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=6), st.booleans())
def test_a_body_comes_through_whole_or_not_at_all(chunks: list[bytes], declared: bool) -> None:
    size = sum(map(len, chunks))

    async def run() -> None:
        client = Client(chunks, declared=size if declared else None)
        await client.request(reader())
        if size <= LIMIT:
            assert client.status == 200
            assert client.sent[1]["body"] == b"".join(chunks)
        else:
            assert client.status == 413

    asyncio.run(run())


async def test_a_declared_size_over_the_limit_is_answered_before_a_byte_is_read() -> None:
    client = Client([bytes(LIMIT), b"x"], declared=LIMIT + 1)
    answered_after: list[int] = []

    async def send(message: Message) -> None:
        answered_after.append(client.read)
        client.sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": client.headers}
    await reader()(scope, client.receive, send)
    assert client.status == 413
    assert "over the limit of 1000 bytes" in client.message
    assert (b"connection", b"close") in client.sent[0]["headers"]
    assert answered_after[:2] == [0, 0]
    assert [m["more_body"] for m in client.sent[1:]] == [True, False]


@pytest.mark.parametrize("encoding", [b"gzip", b"GZIP", b"deflate", b"br", b"zstd", b"gzip, br"])
async def test_a_compressed_body_is_refused_before_a_byte_is_read(encoding: bytes) -> None:
    async def inflates(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    client = Client([gzip.compress(bytes(50_000_000))[:LIMIT]])
    client.headers.append((b"content-encoding", encoding))
    tracemalloc.start()
    await client.request(reader(inflates))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert client.status == 415
    assert "without Content-Encoding" in client.message
    assert peak < 1_000_000


@pytest.mark.parametrize("encoding", [b"identity", b"Identity", b""])
async def test_an_encoding_that_is_none_is_taken(encoding: bytes) -> None:
    client = Client([b"body"])
    client.headers.append((b"content-encoding", encoding))
    await client.request(reader())
    assert client.status == 200


async def test_what_a_refused_client_still_sends_is_read_up_to_a_bound() -> None:
    client = Client([bytes(100)] * 100, declared=10_000)
    await client.request(reader())
    assert client.status == 413
    assert client.read == LIMIT


async def test_a_body_that_ended_is_not_waited_for() -> None:
    client = Client([bytes(LIMIT), b"x"])
    await asyncio.wait_for(client.request(reader(timeout_s=60)), 1)
    assert client.status == 413


async def test_a_size_that_was_not_declared_is_counted() -> None:
    client = Client([bytes(100)] * 100)
    await client.request(reader())
    assert client.status == 413
    assert client.read == 2 * LIMIT + 100


@pytest.mark.parametrize("declared", [b"5", b"-1", b"many", b""])
async def test_a_declared_size_that_lies_is_not_trusted(declared: bytes) -> None:
    client = Client([bytes(LIMIT + 1)])
    client.headers = [(b"content-length", declared)]
    await client.request(reader())
    assert client.status == 413


async def test_a_body_that_does_not_end_in_time_is_408() -> None:
    client = Client([b"x"], ends=False)
    await client.request(reader(timeout_s=0.02))
    assert client.status == 408
    assert "did not arrive within 0.02 s" in client.message
    assert (b"connection", b"close") in client.sent[0]["headers"]


async def test_a_body_that_does_not_end_before_the_requests_deadline_is_504() -> None:
    client = Client([b"x"], ends=False)
    with in_request(RequestContext.within(0.02)):
        request = asyncio.create_task(client.request(reader(timeout_s=60)))
    async with asyncio.timeout(30):
        while len(client.sent) < 2:
            await asyncio.sleep(0.01)
    assert client.status == 504
    assert "before the request's deadline" in client.message
    assert (b"connection", b"close") in client.sent[0]["headers"]
    client.gone.set()
    await request


async def test_a_client_that_goes_while_it_sends_gets_no_answer() -> None:
    client = Client([b"x"], ends=False)
    client.gone.set()
    await client.request(reader())
    assert client.sent == []


async def test_the_work_ends_when_the_client_goes() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    client = Client([b"x"])
    request = asyncio.create_task(client.request(reader(app)))
    await asyncio.wait_for(started.wait(), 1)
    client.gone.set()
    await asyncio.wait_for(request, 1)
    assert ended.is_set()


async def test_the_work_ends_when_the_server_cancels_the_request() -> None:
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    request = asyncio.create_task(Client([b"x"]).request(reader(app)))
    await asyncio.sleep(0.01)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert ended.is_set()


async def test_a_server_that_cant_tell_of_disconnects_does_not_end_the_work() -> None:
    client = Client([b"x"])
    plain = client.receive

    async def receive() -> Message:
        if not client.read:
            return await plain()
        raise KeyError("request is forgotten")

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.01)
        await echo(scope, receive, send)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await reader(slow)(scope, receive, client.send)
    assert client.status == 200


async def test_the_app_hears_of_the_disconnect_after_the_body() -> None:
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            heard.extend([await receive(), await receive()])
        except asyncio.CancelledError:
            heard.append(await receive())
            raise

    client = Client([b"a", b"b"])
    request = asyncio.create_task(client.request(reader(app)))
    await asyncio.sleep(0.01)
    client.gone.set()
    await request
    assert GONE in heard


async def test_bodies_in_memory_are_bounded_together_and_forgotten_after() -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await echo(scope, receive, send)

    guarded = reader(app)
    held = [Client([bytes(LIMIT)]) for _ in range(BODIES_HELD)]
    tasks = [asyncio.create_task(client.request(guarded)) for client in held]
    await asyncio.sleep(0.01)
    refused = Client([b"x"])
    await refused.request(guarded)
    assert refused.status == 429
    assert (b"retry-after", b"1") in refused.sent[0]["headers"]
    gate.set()
    await asyncio.gather(*tasks)
    assert {client.status for client in held} == {200}
    again = Client([bytes(LIMIT)])
    await again.request(guarded)
    assert again.status == 200


@pytest.mark.parametrize("spoil", ["refused", "slow", "gone", "failed"])
async def test_whatever_happens_to_a_body_its_memory_is_free_again(spoil: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        if spoil == "failed":
            raise ValueError
        await echo(scope, receive, send)

    guarded = reader(app, timeout_s=0.01)
    makers: dict[str, Callable[[], Client]] = {
        "refused": lambda: Client([bytes(LIMIT), b"x"]),
        "slow": lambda: Client([bytes(LIMIT)], ends=False),
        "gone": lambda: Client([bytes(LIMIT)], ends=False),
        "failed": lambda: Client([bytes(LIMIT)]),
    }
    for _ in range(2 * BODIES_HELD):
        client = makers[spoil]()
        if spoil == "gone":
            client.gone.set()
        await client.request(guarded)
        assert not client.sent or client.status != 429


async def test_a_refused_body_is_not_kept_while_the_rest_is_drained() -> None:
    size = 4 * 1024 * 1024
    client = Client([bytes(size), b"x"], ends=False)
    tracemalloc.start()
    try:
        request = asyncio.create_task(client.request(BodyReader(echo, size, 5)))
        await asyncio.sleep(0.05)
        assert client.status == 413
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most > size
    assert kept < size / 4
    client.gone.set()
    await request


async def test_what_nobody_foresaw_is_500_and_logged_without_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("Anna's embedding")

    client = Client([b"x"])
    with caplog.at_level(logging.DEBUG):
        await client.request(reader(app))
    assert (client.status, client.message) == (500, "Internal server error")
    assert "ValueError" in caplog.text
    assert "Anna" not in caplog.text


async def test_an_answer_that_has_started_is_not_followed_by_another() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    client = Client([b"x"])
    await client.request(reader(app))
    assert [message["type"] for message in client.sent] == ["http.response.start"]


async def test_other_protocols_pass_by() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    client = Client([])
    await reader(app)({"type": "lifespan"}, client.receive, client.send)
    assert seen == [({"type": "lifespan"}, client.receive, client.send)]
