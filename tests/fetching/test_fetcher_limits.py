"""Fetching from servers that misbehave: broken, huge, endless and slow answers."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc

import pytest

from serve_app.errors import ConfigError, FetchError, TooLargeError, UnavailableError

from .server import (
    MAX_BYTES,
    TIMEOUT_S,
    Dialler,
    Handler,
    Names,
    Site,
    always,
    failing,
    local,
    redirect,
    reply,
)

PUBLIC = "93.184.215.14"


# Answers


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 500])
async def test_other_statuses_are_named(status: int) -> None:
    async with failing(always(reply(b"", status=f"{status} X")), f"answered with status {status}$"):
        pass


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"])
async def test_compressed_bodies_are_refused(encoding: str) -> None:
    answer = reply(b"x", f"Content-Encoding: {encoding}")
    async with failing(always(answer), "Content-Encoding"):
        pass


async def test_a_compressed_bomb_is_neither_read_nor_inflated() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    answer = reply(bomb, "Content-Encoding: gzip")
    tracemalloc.start()
    try:
        async with failing(always(answer), "Content-Encoding", max_bytes=1_000_000):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


async def test_a_bomb_that_does_not_say_so_stays_as_it_is() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    async with Site(always(reply(bomb, "Content-Type: image/jpeg"))) as site:
        assert await local(max_bytes=1_000_000).fetch(site.url()) == bomb


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xd8\xff\xe0 no HTTP at all\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nface",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        reply(b"face", length=5),
    ],
)
async def test_broken_answers(answer: bytes) -> None:
    async with failing(always(answer), "broke off the answer, or did not answer in HTTP"):
        pass


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
        b"HTTP/1.1 200 " + b"x" * 1_000_000,
    ],
    ids=["long field", "many fields", "101 fields", "endless 100", "long reason"],
)
async def test_huge_heads_are_cut(head: bytes) -> None:
    async with failing(always(head), "header fields"):
        pass


# Size


async def test_the_limit_itself_is_taken() -> None:
    async with Site(always(reply(b"x" * MAX_BYTES))) as site:
        assert len(await local().fetch(site.url())) == MAX_BYTES


async def test_a_length_over_the_limit_is_refused_before_the_body_comes() -> None:
    async def announce(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"", length=MAX_BYTES + 1))
        await asyncio.sleep(5)

    async with Site(announce) as site:
        with pytest.raises(TooLargeError, match=r"^127\.0\.0\.1 sent .* more than 100000 bytes$"):
            await local().fetch(site.url())


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
async def test_an_endless_body_is_cut_at_the_limit(framing: str) -> None:
    sent = 0

    async def endless(target: str, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            sent += 1024
            await writer.drain()

    async with Site(endless) as site:
        with pytest.raises(TooLargeError):
            await local(timeout_s=5).fetch(site.url())
        await site.closed()
    assert sent < 20_000_000  # what fits into the sockets' buffers


async def test_a_body_longer_than_announced_ends_where_it_was_announced() -> None:
    async with Site(always(reply(b"face and more", length=4))) as site:
        assert await local().fetch(site.url()) == b"face"


async def test_chunks_of_a_byte_are_cut() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 90_000
    async with failing(always(answer), "too small chunks", timeout_s=5):
        pass


# Time


async def drip(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_head(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(target: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(2)


async def slow_redirect(target: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(TIMEOUT_S * 0.7)
    writer.write(redirect("/again"))


@pytest.mark.parametrize("handler", [drip, drip_head, silence, slow_redirect])
async def test_one_deadline_for_everything(handler: Handler) -> None:
    async with Site(handler) as site:
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"^127\.0\.0\.1 did not deliver .* within 0\.5 s$"):
            await local().fetch(site.url())
        assert TIMEOUT_S <= time.monotonic() - start < TIMEOUT_S + 1


async def test_a_lookup_and_a_connection_count_too() -> None:
    async def stall(host: str, port: int, /) -> list[str]:
        await asyncio.sleep(5)
        return [PUBLIC]

    for fetcher in (
        local(resolver=stall),
        local(resolver=Names([PUBLIC]), network=Dialler(dead=[PUBLIC])),
    ):
        start = time.monotonic()
        with pytest.raises(FetchError, match=r"within 0\.5 s"):
            await fetcher.fetch("http://slow.example/")
        assert time.monotonic() - start < TIMEOUT_S + 1


async def test_cancellation_passes_through_and_closes_the_connection() -> None:
    async with Site(drip) as site:
        fetcher = local(timeout_s=5)
        task = asyncio.create_task(fetcher.fetch(site.url()))
        while not site.heads:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await site.closed()


# Many at once, and the end


async def test_a_bound_on_fetches_at_once() -> None:
    async def slow(target: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.06)
        writer.write(reply(b"face"))

    async with Site(slow) as site:
        fetcher = local(max_concurrent=2, timeout_s=1)
        # Forty take longer together than one may: to wait for a turn is not counted.
        bodies = await asyncio.gather(*(fetcher.fetch(site.url()) for _ in range(40)))
        assert bodies == [b"face"] * 40
        assert site.peak <= 3  # the server sees an end a little later than the client does


async def test_nothing_is_fetched_after_the_end() -> None:
    async with Site(always(reply(b"face"))) as site:
        fetcher = local()
        await fetcher.aclose()
        await fetcher.aclose()
        with pytest.raises(UnavailableError):
            await fetcher.fetch(site.url())
        assert site.accepted == 0


@pytest.mark.parametrize(
    "change",
    [
        {"max_bytes": 0},
        {"timeout_s": 0},
        {"max_redirects": -1},
        {"max_concurrent": 0},
        {"allow": ["10.0.0.1/8"]},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="fetch"):
        local(**change)
