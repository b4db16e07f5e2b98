"""Opening PostgreSQL: what is said of one that can't be used, never who or where; and its absence.

A server of this module's own, as it is stopped and its users are not let in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.engine import make_url

from serve_app.errors import ConfigError, UnavailableError
from serve_app.index.store import GalleryStore
from serve_app.index.store.engine import migrations, open_engine, revisions
from serve_app.index.store.postgres import CONNECTIONS
from tests.conftest import open_server
from tests.index.samples import build, embeddings, info_of, labels_of
from tests.postgresql import PostgresServer

from .administrator import administrator


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = open_server()
    with administrator(server.url()) as connection:
        connection.execute("CREATE ROLE operator LOGIN PASSWORD 'right'")
        connection.execute("CREATE ROLE nologin")
        (rules,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        file = Path(rules)
        scram = "host all operator 127.0.0.1/32 scram-sha-256\n"
        file.write_text(scram + file.read_text(encoding="utf-8"), encoding="utf-8")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.2)
    yield server
    server.close()


@pytest.fixture
def own_url(server: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    with server.database() as url:
        yield url


def as_operator(url: str, password: str) -> str:
    parsed = make_url(url).set(username="operator", password=password)
    return parsed.render_as_string(hide_password=False)


def messages(log: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in log.records)


def refused(url: str, log: pytest.LogCaptureFixture, *, migrate: bool = False) -> str:
    """What is said, which must be nothing of the user, the password or the host."""
    log.set_level(logging.DEBUG, logger="serve_app")
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        GalleryStore(url, migrate=migrate)
    assert time.monotonic() - start < 6
    parsed = make_url(url)
    said = str(caught.value)
    assert said.startswith(f"database {parsed.database} ")
    told = said + messages(log)
    for secret in (parsed.username, parsed.password, parsed.host, f":{parsed.port}"):
        assert secret is None or secret not in told
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return said


def test_an_empty_database_is_not_filled_unasked(
    own_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert "no galleries' tables yet: run `face-serve db upgrade`" in refused(own_url, caplog)
    with administrator(own_url) as connection:
        tables = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchall() == []
    GalleryStore(own_url, migrate=True).close()
    GalleryStore(own_url).close()


def test_an_older_schema_is_not_changed_unasked(
    own_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = GalleryStore(own_url, migrate=True)
    command.downgrade(migrations(store._engine), "0001")
    assert "has an older schema: run `face-serve db upgrade`" in refused(own_url, caplog)
    assert revisions(store._engine)[0] == "0001"
    GalleryStore(own_url, migrate=True).close()
    store.close()


def test_a_newer_schema_is_refused(own_url: str, caplog: pytest.LogCaptureFixture) -> None:
    GalleryStore(own_url, migrate=True).close()
    with administrator(own_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        for migrate in (False, True):
            said = refused(own_url, caplog, migrate=migrate)
            assert "was written by a newer version of this service" in said
        found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        assert found == [("9999",)]


def test_a_password_is_refused(own_url: str, caplog: pytest.LogCaptureFixture) -> None:
    for password in ("wrong", "r%C3%ACght"):
        said = refused(as_operator(own_url, password), caplog)
        assert "refuses the user or password of database_url" in said


@pytest.mark.parametrize("name", ["nobody", "nologin"])
def test_a_user_is_refused(own_url: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    url = make_url(own_url).set(username=name).render_as_string(hide_password=False)
    assert "refuses the user or password of database_url" in refused(url, caplog)


@pytest.mark.parametrize("name", ["nothing", 'role "x" password authentication failed'])
def test_a_database_that_is_not_there(
    server: PostgresServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_url(server.url()).set(database=name).render_as_string(hide_password=False)
    for migrate in (False, True):
        assert "does not exist: create it on the server" in refused(url, caplog, migrate=migrate)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:secret@127.0.0.1:1/galleries",
        "postgresql://ann:secret@nowhere.invalid/galleries",
    ],
    ids=["port", "host"],
)
def test_a_server_that_is_not_there(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert "can't be reached" in refused(url, caplog)


def test_a_user_without_rights(own_url: str, caplog: pytest.LogCaptureFixture) -> None:
    url = as_operator(own_url, "right")
    assert "grant it what it needs" in refused(url, caplog, migrate=True)
    GalleryStore(own_url, migrate=True).close()
    assert "grant it what it needs" in refused(url, caplog)
    with administrator(own_url) as connection:
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO operator")
        connection.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO operator")
    store = GalleryStore(url)
    build(store)
    store.close()


def test_a_database_that_forgets_is_refused(own_url: str, caplog: pytest.LogCaptureFixture) -> None:
    GalleryStore(own_url, migrate=True).close()
    name = make_url(own_url).database
    with administrator(own_url) as connection:
        for setting, accepted in [("off", False), ("local", True), ("on", True)]:
            connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}')
            if accepted:
                GalleryStore(own_url).close()
            else:
                assert "has synchronous_commit off" in refused(own_url, caplog)


def test_several_migrate_at_once(own_url: str) -> None:
    def migrate(_: int) -> None:
        GalleryStore(own_url, migrate=True).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, range(4)))
    engine = open_engine(own_url)
    found, newest = revisions(engine)
    assert found == newest
    engine.dispose()


def test_every_connection_has_its_limits(own_url: str) -> None:
    GalleryStore(own_url, migrate=True).close()
    engine = open_engine(own_url, busy_timeout_s=1.5)
    with engine.connect() as connection:
        for name, value in [
            ("lock_timeout", "1500ms"),
            ("idle_in_transaction_session_timeout", "1min"),
            ("application_name", "face-serve"),
        ]:
            assert connection.execute(text(f"SHOW {name}")).scalar() == value
    engine.dispose()


def test_an_exhausted_pool_is_unavailable(own_url: str) -> None:
    GalleryStore(own_url, migrate=True).close()
    store = GalleryStore(own_url, busy_timeout_s=0.1)
    taken = [store._engine.connect() for _ in range(CONNECTIONS)]
    with pytest.raises(UnavailableError):
        store.describe(["staff"])
    for connection in taken:
        connection.close()
    assert store.describe(["staff"]) == {}
    store.close()


def test_a_server_that_is_down_for_a_while(
    server: PostgresServer, own_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Every call says so within seconds; all is well again without reopening."""
    store = GalleryStore(own_url, migrate=True)
    build(store)
    info = info_of(store)
    calls: list[Callable[[], object]] = [
        lambda: store.add("staff", ["Eve"], embeddings(1), with_labels=True),
        lambda: store.remove("staff", [0], with_labels=False),
        lambda: store.describe(["staff"]),
        lambda: store.changes(info),
        lambda: store.take_lease("build", "ann", 1),
    ]
    server.stop()
    try:
        start = time.monotonic()
        with pytest.raises(UnavailableError):
            store.describe(["staff"], patient=False)
        assert time.monotonic() - start < 1
        with ThreadPoolExecutor(len(calls)) as pool:
            start = time.monotonic()
            for future in [pool.submit(call) for call in calls]:
                with pytest.raises(UnavailableError, match="try again shortly"):
                    future.result(timeout=10)
            assert time.monotonic() - start < 5
    finally:
        server.start()
    for secret in ("Eve", "127.0.0.1", str(server.port)):
        assert secret not in messages(caplog)
    assert (info_of(store), labels_of(store)) == (info, {0: "0", 1: "1", 2: "2"})
    assert store.add("staff", ["x"], embeddings(1), with_labels=False).ids == [3]
    store.close()


def test_a_short_absence_is_not_noticed(server: PostgresServer, own_url: str) -> None:
    """A restart, with connections open: whoever asks meanwhile waits."""
    store = GalleryStore(own_url, migrate=True, patience_s=20)
    build(store)
    server.stop()
    with ThreadPoolExecutor(2) as pool:
        try:
            reading = pool.submit(info_of, store)
            writing = pool.submit(store.add, "staff", ["x"], embeddings(1), with_labels=False)
            time.sleep(0.3)
        finally:
            server.start()
        assert reading.result(timeout=20).size in {3, 4}
        assert writing.result(timeout=20).ids == [3]
    assert labels_of(store) == {0: "0", 1: "1", 2: "2", 3: "x"}
    store.close()
