"""Opening the database: SQLite's settings for durability and erasure, and the migrations."""

from __future__ import annotations

import logging
import sqlite3
from importlib import resources
from pathlib import Path

from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from serve_app.errors import ConfigError

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 30
WRITE = "immediate"
"""Execution option of connections that will write."""


def open_engine(url: str) -> Engine:
    """An engine for ``url`` with the schema migrated to the newest revision.

    Several processes may open one SQLite file at once; the first migrates, the others wait.
    Raises ConfigError for a database that can't be opened or is corrupt.
    """
    parsed = make_url(url)
    engine = create_engine(url, pool_size=8, max_overflow=8)
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError("database_url: only SQLite is supported by this version")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("database_url: name a file; galleries in memory would be lost")
    file = Path(parsed.database)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(file.name + ".lock"), timeout=BUSY_TIMEOUT_S):
            with engine.connect() as connection:
                verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
                if verdict != "ok":
                    raise ConfigError(_damaged(file))
            migrate(engine)
    except DBAPIError as error:
        engine.dispose()
        logger.error("database %s: %s", file.name, type(error.orig).__name__)
        raise ConfigError(_damaged(file)) from None
    except OSError:
        engine.dispose()
        raise ConfigError(f"database {file.name}: its directory can't be written") from None
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision."""
    config = Config()
    scripts = resources.files("serve_app.index") / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")


def journal_mode(version: tuple[int, ...]) -> str:
    """WAL where SQLite has the fix of its WAL-reset bug, else the rollback journal.

    Fixed in 3.51.3 and, for their lines, in 3.50.7 and 3.44.6 (https://sqlite.org/wal.html).
    """
    fixed = version >= (3, 51, 3) or any(
        version[:2] == line[:2] and version >= line for line in ((3, 50, 7), (3, 44, 6))
    )
    return "WAL" if fixed else "DELETE"


def _configure_sqlite(connection: DBAPIConnection, _record: object) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin
    mode = journal_mode(sqlite3.sqlite_version_info)
    # With a rollback journal a commit is its deletion, and only EXTRA syncs the directory then.
    synchronous = "FULL" if mode == "WAL" else "EXTRA"
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}")
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: one that starts reading and then upgrades may deadlock.
    immediate = connection.get_execution_options().get(WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _damaged(file: Path) -> str:
    return (
        f"database {file.name} is damaged or is no SQLite database: restore it from a backup; "
        "nothing was changed"
    )
