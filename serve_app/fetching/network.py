"""Resolve, check and connect in one step.

Owns the only place where a name becomes a connection: the address that was checked is the address
that is dialled, so DNS that changes in between changes nothing. Knows no HTTP and no redirects.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol

import httpcore

from serve_app.errors import FetchError
from serve_app.fetching.addresses import AddressPolicy

MAX_DIALLED = 4
"""Addresses of a name that are tried. All of them are checked."""

READ_SIZE = 16 * 1024
"""Bytes parsed between two chances of the event loop: a body of one-byte chunks costs h11 about
25 ms of CPU in that size, four times that in httpcore's 64 KiB."""

OVERHEAD = 32 * 1024
"""Bytes a connection may bring that are no payload: response heads (also the 1xx ones), framing of
chunks, trailers. 1/64 of the payload comes on top: chunks of 1 KiB cost half of it."""

_NOT_PERMITTED = (
    "was not found, or is not on the public internet; private hosts must be listed in fetch.allow"
)


class Resolver(Protocol):
    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        """Addresses of a name, best first. Raises OSError."""
        ...


class ThreadResolver:
    """The system's resolver, in threads of its own.

    ``loop.getaddrinfo`` would use the loop's default threads. A lookup can't be cancelled and lasts
    up to half a minute with a name server that does not answer, so a few such names would stop all
    other work there; here they only stop other lookups.
    """

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="fetch-dns")

    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, lookup)
        except RuntimeError as error:
            raise OSError("the resolver is closed") from error
        return [str(sockaddr[0]) for *_, sockaddr in await future]

    def close(self) -> None:
        """Lookups under way end on their own; new ones are refused."""
        self._executor.shutdown(wait=False)


class Meter:
    """What a connection brought, in bytes, and how much of it was payload."""

    def __init__(self) -> None:
        self._received = 0
        self._payload = 0

    def received(self, count: int) -> None:
        self._received += count

    def delivered(self, count: int) -> None:
        self._payload += count

    def check(self) -> None:
        """Raises FetchError when too much of it was none.

        This bounds memory and CPU alike: endless heads, and bodies in chunks of a byte, each of
        which costs as much as a chunk of 16 KiB.
        """
        if self._received - self._payload > OVERHEAD + self._payload // 64:
            raise FetchError("sent too many header fields or too small chunks")


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """The network of one request: connects to permitted addresses and closes what it opened.

    httpcore leaves the socket to the garbage collector when a TLS handshake is cancelled, so
    whoever made this must await ``aclose``.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: Resolver,
        inner: httpcore.AsyncNetworkBackend,
        timeout_s: float,
    ) -> None:
        self.meter = Meter()
        self._policy = policy
        self._resolver = resolver
        self._inner = inner
        self._timeout_s = timeout_s
        self._opened: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises FetchError if an address of the host is not permitted, or none answers."""
        addresses = (await self._checked(host, port))[:MAX_DIALLED]
        failure: Exception | None = None
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            # A dead address must not use up the time of those after it; the caller's deadline
            # ends the last.
            share = None if left == 1 else self._timeout_s / len(addresses)
            try:
                stream = await self._inner.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            self._opened = stream
            return MeteredStream(stream, self.meter)
        raise FetchError("could not be connected to") from failure

    async def _checked(self, host: str, port: int) -> list[str]:
        """All addresses of the host, if every one is permitted.

        One that is not spoils the rest: a name with public and private answers is an attack or a
        mistake, and to pick the good ones would hide it. Absent and private names get the same
        message, or a client could list the names of an internal network.
        """
        try:
            answers: Sequence[str] = [str(ip_address(host))]
        except ValueError:
            try:
                answers = await self._resolver(host, port)
            except (OSError, UnicodeError) as error:
                raise FetchError(_NOT_PERMITTED) from error
        try:
            addresses = list(dict.fromkeys(map(ip_address, answers)))
        except ValueError as error:
            raise FetchError(_NOT_PERMITTED) from error
        if not addresses or not all(self._policy.permits(host, each) for each in addresses):
            raise FetchError(_NOT_PERMITTED)
        return [str(address) for address in addresses]

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.aclose()


class MeteredStream(httpcore.AsyncNetworkStream):
    """A stream in small reads that a meter counts; after ``start_tls`` it counts plain text."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self._meter.check()
        data = await self._inner.read(min(max_bytes, READ_SIZE), timeout)
        self._meter.received(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return MeteredStream(stream, self._meter)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
