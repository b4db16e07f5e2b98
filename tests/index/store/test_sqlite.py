"""Opening SQLite: its settings, the first opening by several, a migration that is cut off."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, event

from serve_app.errors import ConfigError
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.engine import BUSY_TIMEOUT_S, migrations, open_engine
from serve_app.index.store.sqlite import erase_log, journal_mode
from tests.index.samples import build, raw, rows
from tests.index.writer import writers

NEWEST = "0004"


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "DELETE"),
        ((3, 44, 5), "DELETE"),
        ((3, 44, 6), "WAL"),
        ((3, 44, 7), "WAL"),
        ((3, 45, 0), "DELETE"),
        ((3, 50, 6), "DELETE"),
        ((3, 50, 7), "WAL"),
        ((3, 50, 8), "WAL"),
        ((3, 51, 0), "DELETE"),
        ((3, 51, 2), "DELETE"),
        ((3, 51, 3), "WAL"),
        ((3, 52, 0), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
    ids=lambda value: value if isinstance(value, str) else ".".join(map(str, value)),
)
def test_wal_only_where_its_reset_bug_is_fixed(version: tuple[int, ...], mode: str) -> None:
    assert journal_mode(version) == mode


def pragma(connection: object, name: str) -> object:
    assert isinstance(connection, sqlite3.Connection)
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_every_pooled_connection_has_the_settings(url: str, journal: str) -> None:
    engine = open_engine(url, busy_timeout_s=1.5)
    with ExitStack() as stack:
        connections = [stack.enter_context(engine.connect()) for _ in range(16)]
        drivers = [connection.connection.driver_connection for connection in connections]
        assert len(set(map(id, drivers))) == 16
        for driver in drivers:
            assert pragma(driver, "journal_mode") == journal.lower()
            assert pragma(driver, "synchronous") == {"WAL": 2, "DELETE": 3}[journal]
            assert pragma(driver, "secure_delete") == 1
            assert pragma(driver, "foreign_keys") == 1
            assert pragma(driver, "busy_timeout") == 1500
    engine.dispose()


def test_this_machines_sqlite_gets_its_mode(url: str, file: Path) -> None:
    open_engine(url).dispose()
    (mode,) = rows(file, "PRAGMA journal_mode")
    assert mode == (journal_mode(sqlite3.sqlite_version_info).lower(),)


def test_the_default_timeout_outlasts_a_busy_neighbour(url: str) -> None:
    engine = open_engine(url)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert pragma(driver, "busy_timeout") == 1000 * BUSY_TIMEOUT_S >= 10_000
    engine.dispose()


def test_directories_are_made(tmp_path: Path) -> None:
    open_engine(f"sqlite:///{tmp_path / 'a' / 'b' / 'galleries.sqlite'}").dispose()
    assert (tmp_path / "a" / "b" / "galleries.sqlite").is_file()


@pytest.mark.parametrize(
    "name", ["a b", "what?mode=ro", "#1", "50%20", "Gesichter-ä", "a:b@c", "'\""]
)
def test_a_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / f"{name}.sqlite"
    open_engine(sqlite_url(file)).dispose()
    assert file.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.usefixtures("journal")
def test_only_the_owner_may_read(url: str, file: Path) -> None:
    """Faces are biometric data: the database, its journal, its log."""
    store = GalleryStore(url)
    build(store)
    with raw(file) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE template SET label = 'other'")
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
        connection.execute("ROLLBACK")
    del modes[file.name + ".lock"]  # empty
    assert len(modes) >= 2
    assert set(modes.values()) == {0o600}
    store.close()


def test_an_opened_database_opens_again_as_it_is(url: str, file: Path) -> None:
    store = GalleryStore(url)
    build(store)
    store.close()
    before = rows(file, "SELECT * FROM template")
    open_engine(url).dispose()
    assert rows(file, "SELECT * FROM template") == before


def test_two_processes_open_a_new_file_at_once(url: str, file: Path) -> None:
    with writers(2, url, "add", "staff", "1") as processes:
        for process in processes:
            process.release()
        said = [process.finish() for process in processes]
    assert sorted(lines[-1] for lines in said) == ["[0]", "[1]"]
    assert rows(file, "SELECT version_num FROM alembic_version") == [(NEWEST,)]


@contextmanager
def torn_at(statement: int) -> Iterator[list[str]]:
    """Every engine fails before the given statement that changes something."""
    seen: list[str] = []

    def count(*arguments: object) -> None:
        text = str(arguments[2]).lstrip()
        if text.startswith(("CREATE", "INSERT", "ALTER", "UPDATE")):
            seen.append(text)
            if len(seen) == statement + 1:
                raise OSError("torn")

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", count)


SCHEMA = "SELECT name, sql FROM sqlite_schema ORDER BY name"


def test_a_migration_that_is_cut_off_leaves_nothing_behind(tmp_path: Path) -> None:
    """Each revision is there whole, with the ones before it, or not at all."""
    whole: list[list[tuple[object, ...]]] = [[]]
    for revision in ("0001", "0002", "0003", NEWEST):
        file = tmp_path / f"whole-{revision}.sqlite"
        engine = open_engine(f"sqlite:///{file}")
        command.downgrade(migrations(engine), revision)
        engine.dispose()
        whole.append(rows(file, SCHEMA))
    with torn_at(-1) as statements:
        open_engine(f"sqlite:///{tmp_path / 'whole.sqlite'}").dispose()
    assert len(statements) >= 15
    left = []
    for statement in range(len(statements)):
        file = tmp_path / f"{statement}.sqlite"
        with torn_at(statement), pytest.raises(ConfigError):
            open_engine(f"sqlite:///{file}")
        left.append(whole.index(rows(file, SCHEMA)))
        open_engine(f"sqlite:///{file}").dispose()
        assert rows(file, "SELECT version_num FROM alembic_version") == [(NEWEST,)]
        assert rows(file, SCHEMA) == whole[-1]
    assert left == sorted(left)
    assert set(left) == {0, 1, 2, 3}


def test_a_log_that_cannot_be_erased_now_is_no_failure(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("serve_app.index.store.sqlite.journal_mode", lambda version: "WAL")
    engine = open_engine(url, busy_timeout_s=20)
    log = file.with_name(file.name + "-wal")
    with raw(file) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM gallery").fetchall()
        with raw(file) as writer:
            writer.execute(f"UPDATE alembic_version SET version_num = '{NEWEST}'")
        start = time.monotonic()
        erase_log(engine)
        assert time.monotonic() - start < 5  # meanwhile nobody could write
        assert log.stat().st_size > 0
        assert "not erased" in caplog.text
    erase_log(engine)
    assert log.stat().st_size == 0
    with engine.connect() as connection:
        assert pragma(connection.connection.driver_connection, "busy_timeout") == 20_000
    engine.dispose()
