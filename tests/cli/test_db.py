"""``face-serve db upgrade``: makes the schema, says which, and may be run again."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from serve_app.index.store import GalleryStore
from tests.index.store.administrator import administrator

from .commands import Commands


def test_sqlite(commands: Commands) -> None:
    output = commands.run("db", "upgrade")
    assert output.startswith("database schema: revision 000")
    assert commands.run("db", "upgrade") == output
    assert (commands.data_dir / "galleries.db").stat().st_mode & 0o777 == 0o600


def test_postgresql(commands: Commands, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", postgres_url)
    commands.run("db", "upgrade")
    GalleryStore(postgres_url).close()
    assert commands.run("db", "upgrade").startswith("database schema: revision 000")


NEWER = "UPDATE alembic_version SET version_num = '9999'"


def assert_left_alone(commands: Commands) -> None:
    assert "newer version" in str(commands.invoke("db", "upgrade").exception)
    output = commands.run("db", "upgrade", "--accept-newer")
    assert output.startswith("left as it is: database ")


def test_a_newer_sqlite_schema_may_be_accepted(commands: Commands) -> None:
    assert commands.run("db", "upgrade", "--accept-newer").startswith("database schema")
    with contextlib.closing(sqlite3.connect(commands.data_dir / "galleries.db")) as connection:
        connection.execute(NEWER)
        connection.commit()
    assert_left_alone(commands)


def test_a_newer_postgresql_schema_may_be_accepted(
    commands: Commands, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", postgres_url)
    commands.run("db", "upgrade")
    with administrator(postgres_url) as connection:
        connection.execute(NEWER)
        assert_left_alone(commands)
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert found == [("9999",)]


def test_nothing_else_is_accepted(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert "can't be reached" in str(commands.invoke("db", "upgrade", "--accept-newer").exception)
