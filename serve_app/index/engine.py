"""Opening the database: SQLite's settings for durability and erasure, and the migrations."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock
from filelock import Timeout as FileLockTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from serve_app.errors import ConfigError

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 30
ERASE_TIMEOUT_MS = 500
WRITE = "immediate"
"""Execution option of connections that will write."""

DAMAGED = "is damaged or is no SQLite database: restore it from a backup; nothing was changed"
LOCKED = "is locked by another process: end that one or wait, then start again"


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def open_engine(url: str, busy_timeout_s: float = BUSY_TIMEOUT_S, *, create: bool = True) -> Engine:
    """An engine for ``url`` with the schema migrated to the newest revision.

    Several processes may open one SQLite file at once; the first migrates, the others wait, at most
    ``busy_timeout_s`` seconds, as every statement waits for another process's lock.
    ``create`` False: the file must be there, or this is not the node that holds it.
    Raises ConfigError for a database that can't be opened, is locked, newer or corrupt.
    """
    file = _database_file(url)
    if not create and not file.exists():
        raise ConfigError(
            f"database {file.name} is not on this node: with SQLite every Index replica must run "
            "where data_dir is"
        )
    engine = create_engine(url, pool_size=8, max_overflow=8, pool_timeout=busy_timeout_s)
    event.listen(engine, "connect", _sqlite_settings(busy_timeout_s))
    event.listen(engine, "begin", _begin)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # faces are biometric data; journals get the same mode
        with FileLock(file.with_name(file.name + ".lock"), timeout=busy_timeout_s):
            with engine.connect() as connection:
                verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if verdict != "ok":
                raise ConfigError(f"database {file.name} {DAMAGED}")
            command.upgrade(migrations(engine), "head")
    except (DBAPIError, CommandError, OSError) as error:
        engine.dispose()
        logger.error("database %s: %s", file.name, type(getattr(error, "orig", error)).__name__)
        raise ConfigError(f"database {file.name} {_complaint(error)}") from None
    except ConfigError:
        engine.dispose()
        raise
    return engine


def migrations(engine: Engine) -> Config:
    """Alembic's configuration of this package's revisions, to be run on ``engine``."""
    config = Config()
    scripts = resources.files("serve_app.index") / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["engine"] = engine
    return config


def journal_mode(version: tuple[int, ...]) -> str:
    """WAL where SQLite has the fix of its WAL-reset bug, else the rollback journal.

    Fixed in 3.51.3 and, for their lines, in 3.50.7 and 3.44.6 (https://sqlite.org/wal.html).
    """
    fixed = version >= (3, 51, 3) or any(
        version[:2] == line[:2] and version >= line for line in ((3, 50, 7), (3, 44, 6))
    )
    return "WAL" if fixed else "DELETE"


def erase_log(engine: Engine) -> None:
    """Write the write-ahead log into the database and empty it: until then, both hold what was
    overwritten. Does nothing without WAL. A failure is only logged: the next call, or the end of
    the last process, makes up for it.
    """
    try:
        # Not within a transaction, so without the "begin" that SQLAlchemy's own execute brings.
        with contextlib.closing(engine.raw_connection()) as connection:
            sqlite = connection.driver_connection
            assert isinstance(sqlite, sqlite3.Connection)
            (timeout,) = sqlite.execute("PRAGMA busy_timeout").fetchone()
            # It keeps writers out while it waits for a moment without readers.
            sqlite.execute(f"PRAGMA busy_timeout={min(timeout, ERASE_TIMEOUT_MS)}")
            try:
                busy, _, _ = sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                sqlite.execute(f"PRAGMA busy_timeout={timeout}")
    except (sqlite3.Error, SQLAlchemyError) as error:
        logger.warning("write-ahead log not erased: %s", type(error).__name__)
    else:
        if busy:
            logger.warning("write-ahead log not erased: a reader or writer was in the way")


def _database_file(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("database_url: write it as sqlite:///FILE") from None
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError("database_url: only SQLite is supported by this version")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("database_url: name a file; galleries in memory would be lost")
    return Path(parsed.database)


def _sqlite_settings(busy_timeout_s: float) -> Callable[[DBAPIConnection, object], None]:
    mode = journal_mode(sqlite3.sqlite_version_info)
    # With a rollback journal a commit is its deletion, and only EXTRA syncs the directory then.
    synchronous = "FULL" if mode == "WAL" else "EXTRA"

    def configure(connection: DBAPIConnection, _record: object) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # we say BEGIN ourselves, see _begin
        connection.execute(f"PRAGMA busy_timeout={round(busy_timeout_s * 1000)}")
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA foreign_keys=ON")

    return configure


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: one that starts reading and then upgrades may deadlock.
    immediate = connection.get_execution_options().get(WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _complaint(error: DBAPIError | CommandError | OSError) -> str:
    """What to do about it. The errors' own texts hold paths."""
    if isinstance(error, CommandError):
        return "was written by a newer version of this service: run that one"
    if isinstance(error, FileLockTimeout):
        return LOCKED
    if isinstance(error, OSError):
        return "can't be opened: its directory can't be written"
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # primary code
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DAMAGED
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LOCKED
    return "can't be used: check that it is this service's own, its permissions and the free space"
