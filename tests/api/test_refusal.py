from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Scope

from serve_app.api.refusal import SMALL_BYTES, Refuser, Upload, content_length
from serve_app.errors import FaceServeError, OverloadedError, SlowClientError
from tests.api.test_body import Client

CLOSE = (b"connection", b"close")


def scope_of(client: Client) -> Scope:
    return {"type": "http", "method": "POST", "path": "/", "headers": client.headers}


async def refused(
    client: Client, error: FaceServeError | None = None, max_bytes: int = 1 << 30
) -> Client:
    refuser = Refuser(max_bytes, timeout_s=5)
    error = error or OverloadedError.after("full", 2.5)
    await asyncio.wait_for(
        refuser.refuse(error, scope_of(client), Upload(client.receive), client.send), 30
    )
    return client


async def test_the_answer_goes_out_before_anything_is_read() -> None:
    client = Client([bytes(100)] * 3, declared=300)
    read_before: list[int] = []

    async def send(message: Message) -> None:
        read_before.append(client.read)
        client.sent.append(message)

    refuser = Refuser(1000, timeout_s=5)
    await refuser.refuse(OverloadedError("x"), scope_of(client), Upload(client.receive), send)
    assert read_before == [0, 0, 300]
    assert client.status == 429
    assert [message["more_body"] for message in client.sent[1:]] == [True, False]


async def test_it_says_when_to_come_back() -> None:
    client = await refused(Client([b"x"], declared=1))
    assert (b"retry-after", b"3") in client.sent[0]["headers"]
    assert "try again in 3 s" in client.message


@pytest.mark.parametrize(
    ("declared", "stays"), [(0, True), (5, True), (SMALL_BYTES, True), (SMALL_BYTES + 1, False)]
)
async def test_a_small_body_is_read_to_its_end_and_the_connection_stays(
    declared: int, stays: bool
) -> None:
    client = await refused(Client([bytes(declared)], declared=declared))
    assert (CLOSE not in client.sent[0]["headers"]) is stays
    assert client.read == declared


async def test_a_body_over_what_is_read_of_it_closes_the_connection() -> None:
    client = await refused(Client([bytes(100)] * 5, declared=500), max_bytes=200)
    assert CLOSE in client.sent[0]["headers"]
    assert client.read == 200


async def test_nobody_knows_how_long_a_chunked_body_is() -> None:
    client = Client([b"x"])
    client.headers = [(b"transfer-encoding", b"chunked")]
    assert CLOSE in (await refused(client)).sent[0]["headers"]
    bodiless = await refused(Client([b""]))
    assert CLOSE not in bodiless.sent[0]["headers"]


async def test_a_client_that_was_too_slow_is_not_waited_for_again() -> None:
    client = await refused(Client([b"x"], declared=1), SlowClientError("late"))
    assert CLOSE in client.sent[0]["headers"]


async def test_a_client_that_goes_meanwhile_is_let_go() -> None:
    client = Client([b"x"], declared=100, ends=False)
    client.gone.set()
    await refused(client)
    assert client.status == 429


@pytest.mark.parametrize(("value", "size"), [(b"7", 7), (b"-1", None), (b"many", None)])
def test_a_declared_size_is_a_number(value: bytes, size: int | None) -> None:
    assert content_length({"headers": [(b"content-length", value)]}) == size
    assert content_length({"headers": []}) is None
