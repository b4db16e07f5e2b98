"""PostgreSQL for the tests that ask for it: one server a session, and servers that may break.
Whether there is time for every round."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgresql import PostgresServer, UnavailableError


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether there is time for all rounds, as in `make soak`."""
    return os.environ.get("FACE_SERVE_SOAK") == "1"


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """Never to be stopped: others use it. Ask for ``postgres_url`` or ``postgres_server``."""
    server = open_server()
    yield server
    server.close()


@pytest.fixture
def postgres_url(shared_postgres: PostgresServer) -> Iterator[str]:
    """SQLAlchemy's URL of an empty database of the test's own."""
    with shared_postgres.database() as url:
        yield url


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A server of the test's own, running, to be stopped and started at will."""
    server = open_server()
    yield server
    server.close()


def open_server() -> PostgresServer:
    """Skips the test where PostgreSQL is not installed, but not in CI, which installs it."""
    try:
        return PostgresServer()
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
