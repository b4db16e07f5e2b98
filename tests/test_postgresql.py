"""The tests' own PostgreSQL: empty databases, nothing shared, a crash keeps the data, no traces."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from tests import conftest, postgresql
from tests.postgresql import PostgresServer, UnavailableError, find_pg_ctl


def connect(url: str) -> Connection:
    return create_engine(url, poolclass=NullPool).connect()


def enrol(url: str) -> None:
    with connect(url) as connection, connection.begin():
        connection.execute(text("CREATE TABLE person (name text)"))
        connection.execute(text("INSERT INTO person VALUES ('Eileen')"))


def people(url: str) -> list[str]:
    with connect(url) as connection:
        return list(connection.execute(text("SELECT name FROM person")).scalars())


@pytest.mark.parametrize("round_", [1, 2])
def test_a_database_is_empty_whatever_the_test_before_left(postgres_url: str, round_: int) -> None:
    with connect(postgres_url) as connection:
        assert inspect(connection).get_table_names() == []
    enrol(postgres_url)
    assert people(postgres_url) == ["Eileen"]


def test_databases_do_not_see_each_other(
    shared_postgres: PostgresServer, postgres_url: str
) -> None:
    enrol(postgres_url)
    with shared_postgres.database() as other, connect(other) as connection:
        assert other != postgres_url
        assert inspect(connection).get_table_names() == []


def test_a_database_is_dropped_under_an_open_connection(shared_postgres: PostgresServer) -> None:
    with shared_postgres.database() as url:
        connection = connect(url)
        connection.execute(text("SELECT 1"))
    with pytest.raises(OperationalError, match="terminating connection"):
        connection.execute(text("SELECT 1"))
    connection.invalidate()
    connection.close()
    with pytest.raises(OperationalError, match="does not exist"):
        connect(url)


def test_a_crash_breaks_connections_and_keeps_the_data(postgres_server: PostgresServer) -> None:
    url = postgres_server.url()
    enrol(url)
    with connect(url) as connection:
        connection.execute(text("INSERT INTO person VALUES ('never committed')"))
        postgres_server.stop()
        assert not postgres_server.is_running()
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
        connection.invalidate()
    with pytest.raises(OperationalError, match="refused"):
        connect(url)
    postgres_server.start()
    assert people(url) == ["Eileen"]


def test_stopping_and_starting_twice_is_the_same_as_once(postgres_server: PostgresServer) -> None:
    postgres_server.start()
    postgres_server.stop()
    postgres_server.stop()
    postgres_server.start()
    postgres_server.start()
    connect(postgres_server.url()).close()


@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_is_left_of_a_closed_server(postgres_server: PostgresServer, stopped: bool) -> None:
    connection = connect(postgres_server.url())
    (main,) = [
        process
        for process in psutil.process_iter()
        if str(postgres_server.directory) in " ".join(cmdline(process))
    ]
    family = [main, *main.children(recursive=True)]
    assert len(family) > 2
    if os.geteuid() == 0:
        assert {process.username() for process in family} == {"postgres"}
    if stopped:
        postgres_server.stop()
    postgres_server.close()
    connection.invalidate()
    connection.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert not postgres_server.directory.exists()


def test_the_newest_version_is_taken(tmp_path: Path) -> None:
    for version in ("9", "15", "17", "beta"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "pg_ctl").touch()
    assert find_pg_ctl(tmp_path) == tmp_path / "17" / "bin" / "pg_ctl"


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_without_postgresql_a_test_is_skipped_but_never_in_ci(
    ci: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "find_pg_ctl", lambda: find_pg_ctl(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install postgresql"):
        conftest.open_server()
    with pytest.raises(UnavailableError):
        find_pg_ctl(tmp_path)


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
