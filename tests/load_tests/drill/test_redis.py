from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from load_tests.drill.redis import RedisServer, UnavailableError


@pytest.fixture
def server() -> Iterator[RedisServer]:
    try:
        started = RedisServer()
    except UnavailableError as error:
        pytest.skip(str(error))
    yield started
    started.close()


def asked(server: RedisServer, *commands: str) -> list[bytes]:
    """Replies to commands of one connection."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        stream = connection.makefile("rwb")
        replies = []
        for command in commands:
            stream.write(f"{command}\r\n".encode())
            stream.flush()
            replies.append(stream.readline().strip())
        return replies


def test_it_asks_for_its_password(server: RedisServer) -> None:
    (refused,) = asked(server, "PING")
    assert refused.startswith(b"-NOAUTH")
    assert asked(server, f"AUTH {server.password}", "PING") == [b"+OK", b"+PONG"]


def test_its_port_is_closed_with_it(server: RedisServer) -> None:
    server.close()
    with pytest.raises(ConnectionRefusedError):
        asked(server, "PING")
