"""A real server on a free port of 127.0.0.1 that answers as a test says, and what reads it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import httpcore
import pytest

from serve_app.errors import FetchError
from serve_app.fetching import Fetcher

MAX_BYTES = 100_000
TIMEOUT_S = 0.5
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody. The default one takes 20 ms to load, for each of some hundred fetchers."""

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
"""Gets the request's target and writes the answer, which ends with it. Cancelled when the client
closes the connection."""


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An HTTP/1.1 answer with a Content-Length, which may lie."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    return reply(b"", f"Location: {location}", status=f"{status} Found")


def always(answer: bytes) -> Handler:
    async def handle(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return handle


def routes(**answers: bytes) -> Handler:
    async def handle(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[target.strip("/").partition("?")[0]])

    return handle


class Site:
    """``heads`` are the request heads it got, ``accepted`` and ``open`` count connections."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.heads: list[str] = []
        self.accepted = 0
        self.open = 0
        self.peak = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        if kind is None:
            await self.closed()

    def url(self, target: str = "/face.jpg", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{target}"

    async def closed(self) -> None:
        """Waits until the clients have closed all connections; the server never does it first."""
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            answering = asyncio.create_task(self._answer(head.split(" ", 2)[1], writer))
            with suppress(ConnectionError):
                await reader.read()  # to the client's end of the connection
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
        writer.close()
        self.open -= 1

    async def _answer(self, target: str, writer: asyncio.StreamWriter) -> None:
        await self._handler(target, writer)
        await writer.drain()
        writer.write_eof()


class Dialler(httpcore.AsyncNetworkBackend):
    """Notes which address was dialled, and connects to 127.0.0.1 instead: tests need no network.

    ``dead`` addresses hang until the timeout they are given.
    """

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.timeouts: list[float | None] = []
        self._dead = frozenset(dead)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        self.timeouts.append(timeout)
        if host in self._dead:
            await asyncio.sleep(60 if timeout is None else timeout)
            raise httpcore.ConnectTimeout
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", port, timeout)


class Names:
    """A resolver that gives its answers in turn, the last for good, and notes what was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise OSError("not known")
        return answer


def local(**changes: object) -> Fetcher:
    """A fetcher that may read the test servers."""
    settings: dict[str, object] = {
        "allow": ["127.0.0.1"],
        "max_bytes": MAX_BYTES,
        "timeout_s": TIMEOUT_S,
        "tls": NO_TLS,
    }
    return Fetcher(**(settings | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def failing(handler: Handler, message: str, **changes: object) -> AsyncIterator[Site]:
    """Fetches from a server with this handler; the error must have this message, and the
    connection must be closed in the end."""
    async with Site(handler) as site:
        with pytest.raises(FetchError, match=message) as caught:
            await local(**changes).fetch(site.url("/x?signature=secret"))
        assert "secret" not in str(caught.value)
        assert str(site.port) not in str(caught.value)
        yield site
