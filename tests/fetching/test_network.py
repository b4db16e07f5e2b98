"""From a name to a connection: what is asked, checked, dialled, counted and closed."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import aclosing

import httpcore
import pytest

from serve_app.errors import FetchError
from serve_app.fetching.addresses import AddressPolicy
from serve_app.fetching.network import (
    MAX_DIALLED,
    OVERHEAD,
    READ_SIZE,
    GuardedNetwork,
    Meter,
    Resolver,
    ThreadResolver,
)

from .server import Dialler, Names, Site, always

PUBLIC, OTHER, PRIVATE = "93.184.215.14", "2606:4700::1111", "10.0.0.1"


def guarded(
    resolver: Resolver, inner: httpcore.AsyncNetworkBackend, timeout_s: float = 2
) -> GuardedNetwork:
    return GuardedNetwork(AddressPolicy(), resolver, inner, timeout_s)


async def test_the_checked_address_is_the_dialled_one() -> None:
    names, dialler = Names([PUBLIC], [PRIVATE]), Dialler()
    async with Site(always(b"")) as site, aclosing(guarded(names, dialler)) as network:
        await network.connect_tcp("rebind.example", site.port)
        assert dialler.dialled == [(PUBLIC, site.port)]
        assert names.asked == ["rebind.example"]
        # The name now leads into the private network: a second connection is not made.
        with pytest.raises(FetchError, match="not on the public internet"):
            await network.connect_tcp("rebind.example", site.port)
        assert dialler.dialled == [(PUBLIC, site.port)]


@pytest.mark.parametrize(
    "answers",
    [
        [PRIVATE],
        [PUBLIC, PRIVATE],
        [PRIVATE, PUBLIC],
        [PUBLIC, OTHER, "::ffff:127.0.0.1"],
        [PUBLIC] * MAX_DIALLED + [OTHER, "fe80::1%eth0"],
        [PUBLIC, "nonsense"],
        [],
    ],
    ids=str,
)
async def test_one_address_that_is_not_permitted_spoils_the_name(answers: list[str]) -> None:
    dialler = Dialler()
    with pytest.raises(FetchError, match="not on the public internet") as caught:
        await guarded(Names(answers), dialler).connect_tcp("mixed.example", 80)
    assert dialler.dialled == []
    assert not any(answer in str(caught.value) for answer in answers)


async def test_absent_and_private_names_are_not_told_apart() -> None:
    messages = set()
    for answers in ([], [PRIVATE]):
        with pytest.raises(FetchError) as caught:
            await guarded(Names(answers), Dialler()).connect_tcp("guess.internal", 80)
        messages.add(str(caught.value))
    assert len(messages) == 1


async def test_addresses_are_dialled_without_a_lookup() -> None:
    names, dialler = Names([PRIVATE]), Dialler()
    async with Site(always(b"")) as site, aclosing(guarded(names, dialler)) as network:
        await network.connect_tcp(PUBLIC, site.port)
        assert dialler.dialled == [(PUBLIC, site.port)]
    assert names.asked == []


async def test_a_dead_address_leaves_time_for_the_next() -> None:
    dialler = Dialler(dead=[OTHER])
    network = guarded(Names([OTHER, OTHER, PUBLIC]), dialler, timeout_s=0.4)
    async with Site(always(b"")) as site, aclosing(network):
        await network.connect_tcp("half-dead.example", site.port)
        assert dialler.dialled == [(OTHER, site.port), (PUBLIC, site.port)]
        assert dialler.timeouts == [0.2, None]  # seconds; the caller's deadline ends the last


async def test_a_name_of_many_addresses_is_no_port_scanner() -> None:
    many = [f"93.184.215.{number}" for number in range(1, 50)]
    dialler = Dialler(dead=many[: MAX_DIALLED - 1])
    async with Site(always(b"")) as site:
        port = site.port
    with pytest.raises(FetchError, match="could not be connected to") as caught:
        await guarded(Names(many), dialler, timeout_s=0.04).connect_tcp("many.example", port)
    assert [address for address, _ in dialler.dialled] == many[:MAX_DIALLED]
    assert "93.184" not in str(caught.value)


async def test_the_socket_is_closed_when_a_tls_handshake_is_cancelled() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # the handshake's first message, then the end of the connection
        ended.set()
        writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server, aclosing(guarded(Names([PUBLIC]), Dialler())) as network:
        port = server.sockets[0].getsockname()[1]
        stream = await network.connect_tcp("mute.example", port)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await stream.start_tls(ssl.create_default_context(), "mute.example")
        await network.aclose()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_streams_read_little_and_count_it() -> None:
    body = b"x" * (4 * READ_SIZE)
    async with Site(always(body)) as site, aclosing(guarded(Names([PUBLIC]), Dialler())) as network:
        stream = await network.connect_tcp("a.example", site.port)
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        received = 0

        async def read_on() -> None:
            nonlocal received
            while chunk := await stream.read(1 << 20):
                assert len(chunk) <= READ_SIZE
                received += len(chunk)

        with pytest.raises(FetchError, match="too many header fields or too small chunks"):
            await read_on()
        assert OVERHEAD < received <= OVERHEAD + READ_SIZE


def bring(chunks: int, payload: int, framing: int) -> None:
    meter = Meter()
    for _ in range(chunks):
        meter.check()
        meter.received(payload + framing)
        meter.delivered(payload)


def test_payload_earns_overhead() -> None:
    bring(chunks=10_000, payload=1024, framing=8)
    with pytest.raises(FetchError, match="too small chunks"):
        bring(chunks=10_000, payload=1, framing=5)


async def test_the_system_resolver_answers_and_runs_in_threads_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = ThreadResolver(threads=1)
    assert "127.0.0.1" in await resolver("localhost", 80)

    hang = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **more: hang.wait(5))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resolver("stalls.example", 80)
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(lambda: "free") == "free"
    hang.set()

    resolver.close()
    with pytest.raises(OSError, match="closed"):
        await resolver("localhost", 80)
