"""SQLite: settings for durability and erasure, and what is checked before a file is used."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from alembic.util import CommandError
from filelock import FileLock
from filelock import Timeout as FileLockTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from serve_app.errors import ConfigError
from serve_app.index.store.engine import NEWER, WRITE, refused, upgrade

logger = logging.getLogger(__name__)

ERASE_TIMEOUT_MS = 500
CONNECTIONS = 16
SMALL_TABLES = ("gallery", "snapshot", "data_key")
"""Checked whole at each start, indexes included; templates carry checks of their own."""

DAMAGED = "is damaged or is no SQLite database: restore it from a backup; nothing was changed"
LOCKED = "is locked by another process: end that one or wait, then start again"


def open_sqlite(url: URL, busy_timeout_s: float, *, create: bool) -> Engine:
    """An engine on the file of ``url``, migrated and checked.

    Several processes may open one file at once; the first migrates, the others wait, at most
    ``busy_timeout_s`` seconds, as every statement waits for another process's lock.
    Raises ConfigError that names the file, without its directory.
    """
    assert url.database
    file = Path(url.database)
    if not create and not file.exists():
        raise ConfigError(
            f"database {file.name} is not on this node: with SQLite every Index replica must run "
            "where data_dir is; set database_url to a PostgreSQL database to use several nodes"
        )
    engine = create_engine(url, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=busy_timeout_s)
    event.listen(engine, "connect", _settings(busy_timeout_s))
    event.listen(engine, "begin", _begin)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # faces are biometric data; journals get the same mode
        if create:
            _sync_folders(file)
        with FileLock(file.with_name(file.name + ".lock"), timeout=busy_timeout_s):
            _check(engine, file, whole=create)
            upgrade(engine)
    except (DBAPIError, CommandError, OSError, UnicodeDecodeError) as error:
        engine.dispose()
        logger.error("database %s: %s", file.name, type(getattr(error, "orig", error)).__name__)
        raise refused(f"database {file.name}", _complaint(error)) from None
    except ConfigError:
        engine.dispose()
        raise
    return engine


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
    overwritten. Does nothing without WAL, or for another database. A failure is only logged: the
    next call, or the end of the last process, makes up for it.
    """
    if engine.dialect.name != "sqlite":
        return
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


def _settings(busy_timeout_s: float) -> Callable[[DBAPIConnection, object], None]:
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


def _sync_folders(file: Path) -> None:
    """Where its folders were just made, a power loss would take them with all that is in them:
    SQLite syncs the file and the folder it lies in, not those above."""
    for folder in file.absolute().parents:
        with contextlib.suppress(OSError):  # one that may not be read was not made here
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _check(engine: Engine, file: Path, *, whole: bool) -> None:
    """Refuse a damaged file. ``whole`` reads all of it: once a start, not in every replica."""
    tables = set(inspect(engine).get_table_names())
    checks = [f"PRAGMA integrity_check({name})" for name in SMALL_TABLES if name in tables]
    checks += ["PRAGMA quick_check(1)"] if whole else []
    with engine.connect() as connection:
        verdicts = [connection.exec_driver_sql(check).scalar() for check in checks]
    if any(verdict != "ok" for verdict in verdicts):
        raise ConfigError(f"database {file.name} {DAMAGED}")


def _complaint(error: DBAPIError | CommandError | OSError | UnicodeDecodeError) -> str:
    """What to do about it. The errors' own texts hold paths."""
    if isinstance(error, CommandError):
        return NEWER
    if isinstance(error, FileLockTimeout):
        return LOCKED
    if isinstance(error, OSError):
        return "can't be opened: its directory can't be written"
    code = sqlite3.SQLITE_CORRUPT  # where sqlite3 could not even decode what is wrong
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # primary code
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DAMAGED
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LOCKED
    return "can't be used: check that it is this service's own, its permissions and the free space"
