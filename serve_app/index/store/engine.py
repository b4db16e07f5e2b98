"""Opening the database: which one a URL names, and its schema's migrations."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from serve_app.errors import ConfigError, NewerSchemaError

BUSY_TIMEOUT_S = 30
WRITE = "immediate"
"""Execution option of connections that will write."""
AUDITED = "audited"
"""Execution option: whether what is changed is told in the audit log."""

FORMS = "write it as sqlite:///FILE or postgresql://USER@HOST/DATABASE"


NEWER = "was written by a newer version of this service: run that one"


def refused(name: str, complaint: str) -> ConfigError:
    """The error that says ``complaint`` of the database ``name``."""
    kind = NewerSchemaError if complaint == NEWER else ConfigError
    return kind(f"{name} {complaint}")


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def parse_url(url: str) -> URL:
    """A database URL; PostgreSQL's with psycopg as its driver. Raises ConfigError, without it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigError(f"database_url: {FORMS}") from None
    backend = parsed.get_backend_name()
    if backend == "postgres":  # PostgreSQL's own tools take this too
        parsed, backend = parsed.set(drivername="postgresql"), "postgresql"
    if backend == "postgresql":
        if not parsed.database:
            raise ConfigError("database_url: name the database, as in postgresql://HOST/DATABASE")
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"database_url: only SQLite and PostgreSQL are supported: {FORMS}")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("database_url: name a file; galleries in memory would be lost")
    return parsed


def open_engine(
    url: str,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    *,
    create: bool = True,
    migrate: bool = False,
) -> Engine:
    """An engine for ``url`` whose schema is the newest revision's.

    SQLite: migrated here; ``create`` False: the file must be there, or this is not the node that
    holds it. PostgreSQL: migrated only where ``migrate`` says so, as others may be using it.
    Raises ConfigError for a database that can't be opened, is locked, older, newer or corrupt.
    """
    parsed = parse_url(url)
    # Late: each brings its driver.
    if parsed.get_backend_name() == "sqlite":
        from serve_app.index.store.sqlite import open_sqlite

        return open_sqlite(parsed, busy_timeout_s, create=create)
    from serve_app.index.store.postgres import open_postgres

    return open_postgres(parsed, busy_timeout_s, migrate=migrate)


def migrations(engine: Engine) -> Config:
    """Alembic's configuration of this package's revisions, to be run on ``engine``."""
    config = Config()
    scripts = resources.files("serve_app.index.store") / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["engine"] = engine
    return config


def upgrade(engine: Engine) -> None:
    """Run the missing revisions. Raises CommandError if the schema is of a newer version."""
    command.upgrade(migrations(engine), "head")


def revisions(engine: Engine) -> tuple[str | None, str]:
    """The database's revision and the newest one known here."""
    newest = ScriptDirectory.from_config(migrations(engine)).get_current_head()
    assert newest is not None
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), newest
