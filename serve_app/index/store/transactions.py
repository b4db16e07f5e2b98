"""Running work in transactions: tried again where that helps, and every failure is one of ours.

Work is a function of a connection: it may run more than once, so it changes nothing but the
database. A commit whose answer was lost may have happened: writers look their operation up first.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from serve_app.encryption import Vault
from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.index.store.data_keys import VAULT, DataKeyWantedError, make_first
from serve_app.index.store.engine import WRITE

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Work = Callable[[Connection], Result]

PATIENCE_S = 2.0
"""For how long work is begun again: a failover takes longer, a deadlock or a lost connection not.
"""

UNAVAILABLE = "the gallery store is unavailable; try again shortly"


class Transactions:
    """Of one engine. Thread-safe. ``vault``: what is written is sealed with its keys.
    Every method raises UnavailableError."""

    def __init__(
        self, engine: Engine, *, patience_s: float = PATIENCE_S, vault: Vault | None = None
    ) -> None:
        engine = engine.execution_options(**{VAULT: vault})
        self._engine = engine
        self.vault = vault
        self._patience_s = patience_s
        postgres = engine.dialect.name == "postgresql"
        # SQLite's transactions see one state anyway; PostgreSQL's only if they ask for it.
        snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        single = {"isolation_level": "AUTOCOMMIT"}
        # What writers look up after they waited for a lock must be what was committed meanwhile.
        current = {"isolation_level": "READ COMMITTED"}
        self._reader = engine.execution_options(**(snapshot if postgres else {}))
        self._single = engine.execution_options(**(single if postgres else {}))
        self._writer = engine.execution_options(**{WRITE: True}, **(current if postgres else {}))

    def read(self, work: Work[Result], *, patient: bool = True) -> Result:
        """Several queries that see one state of the database."""
        return self._run(self._reader, work, self._patience_s if patient else 0.0)

    def query(self, work: Work[Result], *, patient: bool = True) -> Result:
        """One query, without the round trips of a transaction where there is a network."""
        return self._run(self._single, work, self._patience_s if patient else 0.0)

    def write(self, work: Work[Result]) -> Result:
        """Committed when it returns. A tenant whose first rows it seals gets a key before."""
        while True:
            try:
                return self._run(self._writer, work, self._patience_s)
            except DataKeyWantedError as wanted:
                self._make_key(wanted.tenant)

    def _make_key(self, tenant: str) -> None:
        # One that was erased just now: the work finds out, and says of which part of it.
        with contextlib.suppress(InvalidRequestError):
            self._run(
                self._writer, lambda connection: make_first(connection, tenant), self._patience_s
            )

    def _run(self, engine: Engine, work: Work[Result], patience_s: float) -> Result:
        deadline = time.monotonic() + patience_s
        pause_s = 0.02
        while True:
            try:
                with engine.connect() as connection, connection.begin():
                    return work(connection)
            except UnicodeDecodeError as error:  # a damaged schema that SQLite complains about
                logger.error("database: %s", type(error).__name__)
                raise UnavailableError(UNAVAILABLE) from None
            except (DBAPIError, PoolTimeoutError) as error:
                # The error's text holds the statement's parameters: labels and embeddings.
                name = type(getattr(error, "orig", error)).__name__
                if not _passing(error) or time.monotonic() + pause_s > deadline:
                    logger.error("database: %s", name)
                    raise UnavailableError(UNAVAILABLE) from None
                logger.warning("database: %s, trying again", name)
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # nosec B311 # spreads retries
            pause_s *= 2


def _passing(error: Exception) -> bool:
    """Whether beginning again may help: a lost connection, a deadlock, a failed serialisation.

    SQLite has waited already for as long as it may.
    """
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", "")  # psycopg: None where no server answered
    return state is None or state[:2] in {"08", "57"} or state in {"40001", "40P01"}
