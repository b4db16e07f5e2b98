"""PostgreSQL through psycopg 3: time limits, so that no caller waits for a server that is gone."""

from __future__ import annotations

import logging
import re

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from serve_app.errors import ConfigError, DatabaseAwayError
from serve_app.index.store.engine import NEWER, migrations, refused, revisions, upgrade

logger = logging.getLogger(__name__)

CONNECTIONS = 16
"""Of one process. The server's max_connections must hold them all: replicas x 16, and some."""

CONNECT_TIMEOUT_S = 3
ABANDONED_S = 60
"""A transaction whose client went away keeps its locks no longer than this."""

MIGRATION_LOCK = 0x66616365
"""Of PostgreSQL's advisory locks: one process migrates at a time."""

OLDER = "has an older schema: run `face-serve db upgrade` once, then start again"
FORGETFUL = "has synchronous_commit off: it would forget acknowledged changes; turn it on"
AWAY = "can't be reached: check that the server runs and that database_url is right"
EMPTY = "has no galleries' tables yet: run `face-serve db upgrade` once, then start again"


def open_postgres(url: URL, busy_timeout_s: float, *, migrate: bool) -> Engine:
    """An engine on the database of ``url``. Raises ConfigError that names the database, never the
    host, the user or the password; DatabaseAwayError where nobody answers."""
    timeout_ms = round(busy_timeout_s * 1000)
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=busy_timeout_s,
        pool_use_lifo=True,  # idle connections age and are closed by the server
        hide_parameters=True,  # an error's text would hold labels and embeddings
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "face-serve",
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "options": (
                f"-c lock_timeout={timeout_ms} "
                f"-c idle_in_transaction_session_timeout={ABANDONED_S * 1000}"
            ),
        },
    )
    name = f"database {url.database}"
    try:
        if migrate:
            _migrate(engine)
        found, newest = revisions(engine)
        if found != newest:
            raise refused(name, _difference(engine, found))
        with engine.connect() as connection:
            durable = connection.execute(text("SHOW synchronous_commit")).scalar()
        if durable == "off":
            raise ConfigError(f"{name} {FORGETFUL}")
    except (DBAPIError, CommandError) as error:
        engine.dispose()
        logger.error("%s: %s", name, type(getattr(error, "orig", error)).__name__)
        complaint = _complaint(error)
        if complaint == AWAY:
            raise DatabaseAwayError(f"{name} {complaint}") from None
        raise refused(name, complaint) from None
    except ConfigError:
        engine.dispose()
        raise
    return engine


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:  # the lock is the session's; upgrade has a session too
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        try:
            upgrade(engine)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})


def _difference(engine: Engine, found: str | None) -> str:
    if found is None:
        return EMPTY
    known = {r.revision for r in ScriptDirectory.from_config(migrations(engine)).walk_revisions()}
    return OLDER if found in known else NEWER


def _complaint(error: DBAPIError | CommandError) -> str:
    """What to do about it. The errors' own texts hold addresses and users."""
    if isinstance(error, CommandError):
        return NEWER
    state = getattr(error.orig, "sqlstate", None)
    # A refused connection has no state, only a text, which an English server begins like this.
    said = str(error.orig) if state is None else ""
    if re.search(r'FATAL: +database ".*" does not exist', said):
        return "does not exist: create it on the server"
    if re.search(
        r'FATAL: +(password authentication failed|role ".*" (does not|is not)|no pg_hba)', said
    ):
        return "refuses the user or password of database_url"
    if state == "42501":
        return "may not be changed by the user of database_url: grant it what it needs"
    return AWAY
