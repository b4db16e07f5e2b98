"""Transactions on a real PostgreSQL that fails: done once, or not at all and said so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from serve_app.errors import UnavailableError
from serve_app.index.store import GalleryStore
from serve_app.index.store.transactions import Transactions
from serve_app.types import Operation
from tests.index.samples import build, embeddings, info_of, labels_of

from .administrator import administrator, kill


def transactions(store: GalleryStore) -> Transactions:
    return Transactions(store._engine)


def add_named(store: GalleryStore, number: int) -> None:
    """Add a template in a named operation, whose answer must be right."""
    receipt = store.add(
        "staff", [str(number)], embeddings(1), with_labels=False, operation=Operation(str(number))
    )
    assert receipt.ids == [number]


@contextmanager
def killed_before(store: GalleryStore, url: str, statement: int) -> Iterator[list[str]]:
    """The connection is lost before the given statement of the store, once."""
    seen: list[str] = []

    def before(connection: Connection, *arguments: Any) -> None:
        seen.append(str(arguments[1]))
        if len(seen) == statement + 1:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            kill(url, driver.info.backend_pid)

    event.listen(store._engine, "before_cursor_execute", before)
    try:
        yield seen
    finally:
        event.remove(store._engine, "before_cursor_execute", before)


def test_a_connection_lost_at_any_statement(pg_store: GalleryStore, reused_url: str) -> None:
    with killed_before(pg_store, reused_url, -1) as statements:
        add_named(pg_store, 1)
    assert len(statements) >= 5
    for statement in range(len(statements)):
        with killed_before(pg_store, reused_url, statement):
            add_named(pg_store, 2 + statement)
    count = len(statements) + 2
    assert labels_of(pg_store) == {number: str(number) for number in range(count)}
    assert info_of(pg_store).seq == count


@pytest.mark.parametrize("committed", [False, True])
def test_a_connection_lost_at_commit(
    pg_store: GalleryStore, reused_url: str, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it, or after it and before its answer: one addition either way."""
    dialect = pg_store._engine.dialect
    commit = dialect.do_commit
    commits: list[int] = []

    def torn(connection: Any) -> None:
        commits.append(len(commits))
        driver = connection.driver_connection
        if len(commits) == 1:
            if committed:
                commit(connection)
            kill(reused_url, driver.info.backend_pid)
            driver.execute("SELECT 1")  # fails as the lost commit would
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", torn)
    add_named(pg_store, 1)
    assert len(commits) == 2
    monkeypatch.undo()
    assert labels_of(pg_store) == {0: "0", 1: "1"}
    assert info_of(pg_store).seq == 2


def test_connections_killed_at_random(pg_store: GalleryStore, reused_url: str) -> None:
    """Far more often than in life, so the store is told to be more patient."""
    store = GalleryStore(reused_url, patience_s=30)
    enough = threading.Event()

    def kill_connections() -> None:
        killed = 0
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'face-serve'"
            " AND state <> 'idle'"
        )
        with administrator(reused_url) as connection:
            while killed < 8:
                row = connection.execute(query).fetchone()
                assert row is not None
                killed += row[0]
                time.sleep(0.1 if row[0] else 0.003)
        enough.set()

    def write(thread: int) -> list[tuple[int, str]]:
        told: list[tuple[int, str]] = []
        while not enough.is_set():
            label = f"{thread}-{len(told)}"
            receipt = store.add("staff", [label], embeddings(1), with_labels=False)
            told += [(each, label) for each in receipt.ids]
        return told

    with ThreadPoolExecutor(4) as pool:
        killing = pool.submit(kill_connections)
        try:
            writing = [pool.submit(write, thread) for thread in range(3)]
            killing.result(timeout=60)
        finally:
            enough.set()
        told = [pair for future in writing for pair in future.result()]
    store.close()
    assert labels_of(pg_store) == {0: "0"} | dict(told)
    assert sorted(number for number, _ in told) == list(range(1, len(told) + 1))


@pytest.mark.parametrize("state", ["40001", "40P01", "57P01", "08006"])
def test_passing_failures_are_tried_again(
    pg_store: GalleryStore, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    for run in (transactions(pg_store).read, transactions(pg_store).write):
        tries: list[int] = []

        def work(connection: Connection, tries: list[int] = tries) -> str:
            tries.append(1)
            if len(tries) < 3:
                raised = f"DO $$ BEGIN RAISE 'of Eve' USING ERRCODE = '{state}'; END $$"
                connection.execute(text(raised))
            return "done"

        assert run(work) == "done"
        assert len(tries) == 3
    assert "trying again" in caplog.text
    assert "Eve" not in caplog.text


def test_other_failures_are_not_tried_again(
    pg_store: GalleryStore, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("SELECT 'Eve' FROM nothing"))

    with pytest.raises(UnavailableError, match="try again shortly") as caught:
        transactions(pg_store).write(work)
    assert tries == [1]
    assert "Eve" not in caplog.text + str(caught.value)
    assert caught.value.__suppress_context__


def test_patience_ends(pg_store: GalleryStore) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("DO $$ BEGIN RAISE 'x' USING ERRCODE = '40001'; END $$"))

    start = time.monotonic()
    with pytest.raises(UnavailableError):
        Transactions(pg_store._engine, patience_s=0.5).write(work)
    assert time.monotonic() - start < 3
    start = time.monotonic()
    with pytest.raises(UnavailableError):
        transactions(pg_store).query(work, patient=False)
    assert time.monotonic() - start < 0.3


def test_what_is_no_failure_of_the_database_is_passed_on(any_store: GalleryStore) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("DELETE FROM gallery"))
        raise KeyError("mistake")

    build(any_store)
    with pytest.raises(KeyError):
        transactions(any_store).write(work)
    assert info_of(any_store).size == 3


def test_a_read_sees_one_state_and_writes_nothing(any_store: GalleryStore) -> None:
    build(any_store)
    query = text("SELECT size FROM gallery")

    def read(connection: Connection) -> tuple[int, int]:
        first = connection.execute(query).scalar_one()
        # With SQLite's rollback journal a writer would wait for this reader.
        if not any_store.one_writer:
            any_store.add("staff", ["x"], embeddings(1), with_labels=False)
        return first, connection.execute(query).scalar_one()

    assert transactions(any_store).read(read) == (3, 3)
    if not any_store.one_writer:
        with pytest.raises(UnavailableError):
            transactions(any_store).read(lambda c: c.execute(text("DELETE FROM gallery")).rowcount)
        assert info_of(any_store).size == 4
