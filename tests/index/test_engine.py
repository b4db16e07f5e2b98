"""Opening: SQLite's settings, the first opening by several, and what is said of a bad database."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import Engine, event

from serve_app.errors import ConfigError
from serve_app.index.engine import BUSY_TIMEOUT_S, erase_log, journal_mode, open_engine
from serve_app.index.store import GalleryStore

from .samples import build, locked, raw, rows
from .writer import writers


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


def test_an_opened_database_opens_again_as_it_is(url: str, file: Path) -> None:
    store = GalleryStore(url)
    build(store)
    store.close()
    before = rows(file, "SELECT * FROM template")
    open_engine(url).dispose()
    assert rows(file, "SELECT * FROM template") == before


def test_processes_open_a_new_file_at_once(url: str, file: Path) -> None:
    with writers(3, url, "add", "staff", "1") as processes:
        for process in processes:
            process.release()
        said = [process.finish() for process in processes]
    assert sorted(lines[-1] for lines in said) == ["[0]", "[1]", "[2]"]
    assert rows(file, "SELECT version_num FROM alembic_version") == [("0001",)]


@contextmanager
def torn_at(statement: int) -> Iterator[list[str]]:
    """Every engine fails before the given statement that changes something."""
    seen: list[str] = []

    def count(*arguments: object) -> None:
        text = str(arguments[2]).lstrip()
        if text.startswith(("CREATE", "INSERT")):
            seen.append(text)
            if len(seen) == statement + 1:
                raise OSError("torn")

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def test_a_migration_that_is_cut_off_leaves_nothing_behind(tmp_path: Path) -> None:
    with torn_at(-1) as statements:
        open_engine(f"sqlite:///{tmp_path / 'whole.sqlite'}").dispose()
    assert len(statements) >= 5
    for statement in range(len(statements)):
        file = tmp_path / f"{statement}.sqlite"
        with torn_at(statement), pytest.raises(ConfigError):
            open_engine(f"sqlite:///{file}")
        assert rows(file, "SELECT name FROM sqlite_schema") == []
        open_engine(f"sqlite:///{file}").dispose()
        assert rows(file, "SELECT version_num FROM alembic_version") == [("0001",)]


def assert_names_the_file_only(error: ConfigError, file: Path, log: str) -> None:
    message = str(error)
    assert message.startswith(f"database {file.name} ")
    assert "/" not in message + log
    # A cause's text would hold the path.
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


@pytest.mark.parametrize("damage", ["pages", "truncated", "text", "zeros"])
def test_a_damaged_database_is_refused_and_left_alone(
    url: str, file: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = GalleryStore(url)
    build(store, count=200)
    store.close()
    content = file.read_bytes()
    bad = {
        "pages": content[:4096] + b"\xff" * (len(content) - 4096),
        "truncated": content[: len(content) // 2 // 4096 * 4096],
        "text": b"path label\n" * 100,
        "zeros": b"\0" * len(content),
    }[damage]
    file.write_bytes(bad)
    with pytest.raises(ConfigError, match="is damaged or is no SQLite database") as caught:
        open_engine(url)
    assert_names_the_file_only(caught.value, file, caplog.text)
    assert file.read_bytes() == bad


def test_tables_of_another_program_are_left_alone(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with raw(file) as connection:
        connection.execute("CREATE TABLE gallery (painting TEXT)")
        connection.execute("INSERT INTO gallery VALUES ('Guernica')")
    with pytest.raises(ConfigError, match="check that it is this service's own") as caught:
        open_engine(url)
    assert_names_the_file_only(caught.value, file, caplog.text)
    assert rows(file, "SELECT name FROM sqlite_schema") == [("gallery",)]
    assert rows(file, "SELECT * FROM gallery") == [("Guernica",)]


def test_a_newer_database_is_refused(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_engine(url).dispose()
    with raw(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="newer version") as caught:
        open_engine(url)
    assert_names_the_file_only(caught.value, file, caplog.text)
    assert rows(file, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_locked_database_is_not_called_damaged(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_engine(url).dispose()
    start = time.monotonic()
    with locked(file), pytest.raises(ConfigError, match="is locked by another process") as caught:
        open_engine(url, busy_timeout_s=0.1)
    assert 0.1 <= time.monotonic() - start < 5
    assert_names_the_file_only(caught.value, file, caplog.text)
    with (
        FileLock(file.with_name(file.name + ".lock")),
        pytest.raises(ConfigError, match="is locked by another process") as caught,
    ):
        open_engine(url, busy_timeout_s=0.1)
    assert_names_the_file_only(caught.value, file, caplog.text)
    open_engine(url, busy_timeout_s=0.1).dispose()


def test_a_directory_that_is_a_file_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("not a directory")
    file = tmp_path / "data" / "galleries.sqlite"
    with pytest.raises(ConfigError, match="its directory can't be written") as caught:
        open_engine(f"sqlite:///{file}")
    assert_names_the_file_only(caught.value, file, caplog.text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_not_writable_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o500)
    file = directory / "galleries.sqlite"
    with pytest.raises(ConfigError, match="its directory can't be written") as caught:
        open_engine(f"sqlite:///{file}")
    assert_names_the_file_only(caught.value, file, caplog.text)


def test_a_file_that_is_a_directory_is_refused(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.mkdir()
    with pytest.raises(ConfigError, match="check that it is") as caught:
        open_engine(url)
    assert_names_the_file_only(caught.value, file, caplog.text)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("", "sqlite:///FILE"),
        ("galleries.sqlite", "sqlite:///FILE"),
        ("postgresql://operator:secret@host/galleries", "only SQLite"),
        ("nonsense://operator:secret@host/galleries", "only SQLite"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
    ],
)
def test_other_urls_are_refused(url: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=r"^database_url: ") as caught:
        open_engine(url)
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_log_that_cannot_be_erased_now_is_no_failure(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("serve_app.index.engine.journal_mode", lambda version: "WAL")
    engine = open_engine(url, busy_timeout_s=20)
    log = file.with_name(file.name + "-wal")
    with raw(file) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM gallery").fetchall()
        with raw(file) as writer:
            writer.execute("UPDATE alembic_version SET version_num = '0001'")
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
