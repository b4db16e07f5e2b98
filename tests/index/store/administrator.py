"""PostgreSQL past the store: other clients, and the loss of the store's own connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy.engine import make_url


def administrator(url: str) -> psycopg.Connection[Any]:
    """A connection past the store."""
    plain = make_url(url).set(drivername="postgresql")
    return psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True)


def kill(url: str, backend: int) -> None:
    with administrator(url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


@contextmanager
def holding(url: str, key: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else writes to a gallery meanwhile."""
    with administrator(url) as connection, connection.transaction():
        connection.execute("SELECT 1 FROM gallery WHERE key = %s FOR UPDATE", [key])
        yield connection
