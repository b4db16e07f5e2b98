"""What is said of a database that can't be opened: its file's name and what to do, no path."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from serve_app.errors import ConfigError
from serve_app.index.store import GalleryStore
from serve_app.index.store.engine import open_engine
from tests.index.samples import build, locked, raw, rows


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


def test_a_replica_on_another_node_makes_no_database_of_its_own(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match="is not on this node") as caught:
        GalleryStore(url, create=False)
    assert_names_the_file_only(caught.value, file, caplog.text)
    assert list(file.parent.iterdir()) == []
    GalleryStore(url).close()
    GalleryStore(url, create=False).close()
