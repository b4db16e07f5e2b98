"""What docs/erasure.md says of PostgreSQL's files: what is left in them, and what clears them."""

from __future__ import annotations

import time

import psycopg

from serve_app.index.erasure.scanning import Marks, scan
from serve_app.index.store import GalleryStore
from serve_app.types import Metric
from tests.index.samples import embeddings
from tests.postgresql import PostgresServer

PROCEDURE = (
    "VACUUM FULL template",
    "ALTER SYSTEM SET wal_recycle = off",
    "ALTER SYSTEM SET min_wal_size = '32MB'",
    "SELECT pg_reload_conf()",
)


def test_the_documented_procedure(postgres_server: PostgresServer) -> None:
    store = GalleryStore(postgres_server.url(), migrate=True)
    labels = [f"erase-check-{number:04}-of-postgresql" for number in range(400)]
    enrolled = embeddings(400, 128)
    store.create("staff", "Flat", Metric.IP, labels, enrolled, with_labels=False)
    marks = Marks(labels[:4], enrolled.vectors[:4])
    files = [postgres_server.directory / "server"]
    url = postgres_server.url().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE template")
        store.remove("staff", list(range(200)), with_labels=False)
        connection.execute("CHECKPOINT")
        assert scan(files, marks).found
        for statement in PROCEDURE:
            connection.execute(statement)
        deadline = time.monotonic() + 30
        while not (report := scan(files, marks)).clean and time.monotonic() < deadline:
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")
        assert report.clean, sorted(path.name for path in report.found)
    store.close()
