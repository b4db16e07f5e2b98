"""Who waits for whom on PostgreSQL: writers of one gallery, and nobody else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.errors import UnavailableError
from serve_app.index.mutations import Add, Mutation
from serve_app.index.store import GalleryStore
from serve_app.types import Operation
from tests.index.samples import build, embeddings, info_of, labels_of

from .administrator import administrator, holding


def test_a_real_deadlock_is_survived(
    pg_store: GalleryStore, reused_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The store holds the lower gallery and waits for the higher one; the other does the opposite
    and is patient, so the store is who is sent back."""
    build(pg_store, "z", 0)
    batch = [Add(key, ["x"], embeddings(1)) for key in ("z", "staff")]
    with ThreadPoolExecutor(1) as pool:
        with holding(reused_url, "z") as other:
            other.execute("SET LOCAL deadlock_timeout = '20s'")
            waiting = pool.submit(pg_store.apply, batch)
            time.sleep(0.2)
            other.execute("SELECT 1 FROM gallery WHERE key = 'staff' FOR UPDATE")
        assert len(waiting.result(timeout=10)) == 2
    assert "DeadlockDetected, trying again" in caplog.text
    assert (info_of(pg_store).size, info_of(pg_store, "z").size) == (2, 1)


def test_batches_of_the_same_galleries_do_not_deadlock(
    pg_store: GalleryStore, reused_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two replicas gather what comes in, each in its own order."""
    caplog.set_level(logging.WARNING)
    keys = ["a", "b", "c", "d"]
    for key in keys:
        build(pg_store, key, 0)
    other = GalleryStore(reused_url)

    def write(store: GalleryStore, order: list[str]) -> None:
        for _ in range(25):
            batch: list[Mutation] = [Add(key, ["x"], embeddings(1)) for key in order]
            store.apply(batch)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(write, pg_store, keys), pool.submit(write, other, keys[::-1])]:
            future.result()
    other.close()
    assert [info_of(pg_store, key).size for key in keys] == [50] * 4
    assert "Deadlock" not in caplog.text


def test_writers_to_other_galleries_do_not_wait(pg_store: GalleryStore, reused_url: str) -> None:
    build(pg_store, "guests", 0)
    with ThreadPoolExecutor(2) as pool:
        with holding(reused_url, "staff"):
            start = time.monotonic()
            pg_store.add("guests", ["x"], embeddings(1), with_labels=False)
            build(pg_store, "new", 1)
            assert info_of(pg_store).seq == 1  # readers don't wait either
            assert time.monotonic() - start < 2
            waiting = pool.submit(pg_store.add, "staff", ["x"], embeddings(1), with_labels=False)
            time.sleep(0.3)
            assert not waiting.done()
        assert waiting.result(timeout=5).ids == [1]


def test_a_lock_is_waited_for_as_long_as_was_said(reused_url: str, pg_store: GalleryStore) -> None:
    store = GalleryStore(reused_url, busy_timeout_s=0.2)
    calls: list[Callable[[], object]] = [
        lambda: store.add("staff", ["x"], embeddings(1), with_labels=False),
        lambda: store.remove("staff", [0], with_labels=False),
    ]
    with holding(reused_url, "staff"):
        for call in calls:
            start = time.monotonic()
            with pytest.raises(UnavailableError):
                call()
            assert 0.2 <= time.monotonic() - start < 2
    assert labels_of(store) == {0: "0"}
    store.close()


def test_any_isolation_that_the_server_sets_will_do(
    pg_store: GalleryStore, reused_url: str
) -> None:
    with administrator(reused_url) as connection:
        connection.execute("SELECT 1")
        name = connection.info.dbname
        for level in ("serializable", "read committed"):
            connection.execute(
                f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{level}'"
            )
            store = GalleryStore(reused_url)
            with ThreadPoolExecutor(4) as pool:
                list(
                    pool.map(
                        lambda i, store=store, level=level: store.add(
                            "staff",
                            [level],
                            embeddings(1),
                            with_labels=False,
                            operation=Operation(f"{level} {i % 4}"),
                        ),
                        range(16),
                    )
                )
            store.close()
    assert info_of(pg_store).size == 9
