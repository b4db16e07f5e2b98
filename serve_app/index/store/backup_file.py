"""A backup: a SQLite file of the store's own schema that nobody writes to any more.

It is read where it lies and as it is: no log, no lock and no migration touch it.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, select
from sqlalchemy.exc import DBAPIError

from serve_app.encryption import Vault
from serve_app.errors import ConfigError, UnavailableError
from serve_app.index.store.engine import revisions
from serve_app.index.store.schema import READY, gallery, metadata, template
from serve_app.index.store.sealed_rows import TEMPLATE, opened
from serve_app.index.store.sqlite import CONNECTIONS
from serve_app.index.store.store import GalleryStore
from serve_app.index.store.transactions import Transactions

logger = logging.getLogger(__name__)

DAMAGED = "is damaged or is no SQLite database: take another backup; nothing was changed"
FOREIGN = "is no backup of this service"
OTHER_VERSION = (
    "was written by another version of this service: restore it with that one, or bring a copy of "
    "it up to date with `face-serve db upgrade`"
)
UNFINISHED = (
    "was not closed, or is in use: what is beside it is part of it; use `face-serve backup`"
)

TRIED = 10
"""Rows, until a key is said not to be theirs."""


class BackupFile(GalleryStore):
    """The store in a backup, to be read only. ``vault``: of the keys that seal it, which are not
    in it. Raises ConfigError that names the file."""

    def __init__(self, file: Path, vault: Vault | None = None) -> None:
        # Not the parent's constructor, which locks, migrates and switches journals.
        self._engine = _open(file)
        self._transactions = Transactions(self._engine, patience_s=0, vault=vault)

    def sealed_by(self) -> set[tuple[str, int]]:
        """Tenants and versions of the data keys that it can't be read without."""
        query = (
            select(gallery.c.tenant, template.c.key_version)
            .join_from(template, gallery, gallery.c.generation == template.c.generation)
            .where(template.c.key_version.is_not(None))
            .distinct()
        )
        rows = self._transactions.query(lambda connection: connection.execute(query).all())
        return {(row.tenant, row.key_version) for row in rows}

    def opens(self, tenant: str, version: int) -> bool:
        """Whether that key of its vault is the one that sealed rows here: one of some tells, should
        others be damaged."""
        query = (
            select(*TEMPLATE, gallery.c.key, gallery.c.generation)
            .join_from(template, gallery, gallery.c.generation == template.c.generation)
            .where(gallery.c.tenant == tenant, template.c.key_version == version)
            .limit(TRIED)
        )

        def one_opens(connection: Connection) -> bool:
            for row in connection.execute(query).all():
                with contextlib.suppress(UnavailableError):
                    opened(connection, row.key, row.generation, [row])
                    return True
            return False

        return self._transactions.query(one_opens)


def seal(file: Path) -> None:
    """Make a database that was closed one plain file, without a log beside it.

    Raises UnavailableError.
    """
    try:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.Error as error:
        mode = type(error).__name__
    if mode != "delete":
        logger.error("backup not sealed: %s", mode)
        raise UnavailableError("the backup can't be finished: its log can't be written into it")


def _open(file: Path) -> Engine:
    if not file.is_file():
        raise ConfigError(f"{file.name} is not there or is no file")
    for suffix in ("-wal", "-journal"):
        beside = file.with_name(file.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise ConfigError(f"{file.name} {UNFINISHED}")
    url = URL.create(
        "sqlite",
        database=f"file:{quote(str(file.absolute()))}",
        query={"mode": "ro", "immutable": "1", "uri": "true"},
    )
    engine = create_engine(url, pool_size=CONNECTIONS)
    try:
        with engine.connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        if verdict != "ok":
            raise ConfigError(f"{file.name} {DAMAGED}")
        found, newest = revisions(engine)
        if found != newest:
            raise ConfigError(f"{file.name} {FOREIGN if found is None else OTHER_VERSION}")
        if not _is_whole(engine):
            raise ConfigError(f"{file.name} {DAMAGED}")
    except DBAPIError as error:
        engine.dispose()
        logger.error("backup %s: %s", file.name, type(error.orig).__name__)
        raise ConfigError(f"{file.name} {DAMAGED}") from None
    except ConfigError:
        engine.dispose()
        raise
    return engine


def _is_whole(engine: Engine) -> bool:
    """Whether its tables have the names and columns that they should, and all galleries can be
    seen. Raises DBAPIError."""
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            connection.execute(select(table).limit(0))
        hidden = select(gallery.c.id).where(gallery.c.state != READY)
        return connection.execute(hidden).first() is None
