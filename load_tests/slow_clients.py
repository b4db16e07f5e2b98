"""Clients that hold connections and hardly use them, and what others get of the service meanwhile.

Raw sockets, as no HTTP library sends a head byte by byte. Each client takes a file descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

EVERY_S = 1.0
"""Between two bytes of a slow client."""
AT_ONCE = 100
"""Connections that are opened at the same time: the proxy's backlog is not what is tried here."""
HEAD = (
    b"POST /face-recognition-infer HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\n"
)
ASKED = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b"/static-offline-docs/swagger-ui-bundle.js"
"""1.5 MB: more than the buffers between the application and a client hold."""


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def idle(self) -> None:
        """Says nothing."""
        await self._reader.read()

    async def kept(self) -> None:
        """Says nothing more after an answer."""
        self._writer.write(ASKED % b"/health")
        await self._reader.read()

    async def slow_head(self) -> None:
        await self._drip(HEAD + b"X-Slow: " + b"x" * 1000)

    async def slow_body(self) -> None:
        self._writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        await self._drip(b"x" * 1000)

    async def slow_reader(self) -> None:
        """Takes a byte a second of a large answer."""
        self._writer.write(ASKED % LARGE)
        for _ in range(1000):
            if not await self._reader.read(1):
                return
            await asyncio.sleep(EVERY_S)

    async def _drip(self, data: bytes) -> None:
        for position in range(len(data)):
            self._writer.write(data[position : position + 1])
            await self._writer.drain()
            await asyncio.sleep(EVERY_S)


KINDS: dict[str, Callable[[Connection], Awaitable[None]]] = {
    "idle": Connection.idle,
    "kept alive": Connection.kept,
    "slow heads": Connection.slow_head,
    "slow bodies": Connection.slow_body,
    "slow readers": Connection.slow_reader,
}


@dataclass
class Crowd:
    """``open``, ``ended``: connections of each kind; ``ended`` by the service."""

    port: int
    open: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def gather(self, counts: Mapping[str, int]) -> None:
        """Open so many connections of each kind."""
        door = asyncio.Semaphore(AT_ONCE)
        waiting = []
        for kind, count in counts.items():
            for _ in range(count):
                there = asyncio.Event()
                self._tasks.append(asyncio.create_task(self._one(kind, door, there)))
                waiting.append(there.wait())
        await asyncio.gather(*waiting)

    async def _one(self, kind: str, door: asyncio.Semaphore, there: asyncio.Event) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        if kind == "slow readers":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            async with door:
                await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
            reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
        finally:
            there.set()
        self.open[kind] += 1
        try:
            with contextlib.suppress(ConnectionError):
                await KINDS[kind](Connection(reader, writer))
        finally:
            writer.close()
        self.open[kind] -= 1
        self.ended[kind] += 1

    async def go(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def crowd(port: int, counts: Mapping[str, int]) -> AsyncIterator[Crowd]:
    gathered = Crowd(port)
    try:
        await gathered.gather(counts)
        yield gathered
    finally:
        await gathered.go()


async def probed(port: int, seconds: float) -> list[float]:
    """``probe``, in a process of its own: this one has the crowd to see to."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, probe, port, seconds)


def probe(port: int, seconds: float) -> list[float]:
    """Seconds until each of one answer of ``/health`` after the other is there whole, each on a
    connection of its own. Raises AssertionError for another answer than 200."""
    request = (ASKED % b"/health").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    taken, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        taken.append(time.perf_counter() - started)
        assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
        time.sleep(0.02)
    return taken


def percentile(values: list[float], share: float) -> float:
    """The nearest rank."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
