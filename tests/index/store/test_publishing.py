"""A staged gallery takes its place at once and whole, and can be taken back; on both databases."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from serve_app.encryption import Vault
from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.cache import GalleryCache
from serve_app.index.mutations import Drop
from serve_app.index.records import SnapshotRow
from serve_app.index.staged import StagedGallery
from serve_app.index.store import GalleryStore, publishing
from serve_app.index.store.job_store import JobStore
from serve_app.types import GalleryInfo, JobMode, JobState, Metric, Operation, Shard
from tests.index.samples import DIMENSION, build, embeddings, info_of, labels_of
from tests.index.staged_rows import HOLDER, begun, new, plain, published
from tests.index.watched import people

PLAIN_AND_SEALED = True

OLD = {number: str(number) for number in range(3)}


def late(count: int) -> dict[int, str]:
    """What was appended to ``OLD``."""
    return {3 + number: f"new {number}" for number in range(count)}


@pytest.fixture
def jobs(any_store: GalleryStore) -> JobStore:
    return JobStore(any_store)


def back(store: GalleryStore, key: str = "staff") -> GalleryInfo:
    jobs = JobStore(store)
    return jobs.rollback(key, jobs.previous(key).generation)


def sources(store: GalleryStore, key: str = "staff") -> dict[int, str]:
    found = JobStore(store).sources(info_of(store, key), -1, 100)
    assert {number: label for number, _, label in found}.items() <= labels_of(store, key).items()
    return {number: source for number, source, _ in found}


def test_create(any_store: GalleryStore, jobs: JobStore) -> None:
    job = begun(jobs)
    jobs.stage("job", HOLDER, plain(0, 3), keep_sources=True)
    info = jobs.publish("job", HOLDER, "3 of 3 rows")
    assert any_store.describe(["staff"]) == {"staff": info}
    assert (info.key, info.generation, info.size, info.next_id) == ("staff", job.generation, 3, 3)
    assert labels_of(any_store) == new(3)
    assert sources(any_store) == {n: f"/photos/{n}.jpg" for n in range(3)}
    done = jobs.job("job")
    assert (done.state, done.message, done.generation) == (
        JobState.DONE,
        "3 of 3 rows",
        info.generation,
    )
    with pytest.raises(GalleryNotFoundError, match="nothing to go back to"):
        jobs.previous("staff")
    with pytest.raises(UnavailableError, match="gone"):
        jobs.staged(done)
    added = any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert (added.ids, info_of(any_store).seq) == ([3], 2)


def test_create_when_it_was_made_meanwhile(any_store: GalleryStore, jobs: JobStore) -> None:
    begun(jobs)
    jobs.stage("job", HOLDER, plain(0, 3))
    build(any_store)
    with pytest.raises(GalleryExistsError, match="made meanwhile"):
        jobs.publish("job", HOLDER, "")
    assert labels_of(any_store) == OLD
    assert jobs.job("job").state is JobState.RUNNING
    any_store.do(Drop("staff"))
    assert jobs.publish("job", HOLDER, "").size == 3


def test_append(any_store: GalleryStore, jobs: JobStore, database_url: str) -> None:
    build(any_store)
    any_store.remove("staff", [1], with_labels=False)
    before = info_of(any_store)
    info = published(any_store, mode=JobMode.APPEND, count=4, keep_sources=True)
    assert info == info_of(any_store)
    assert (info.generation, info.seq) == (before.generation, before.seq + 1)
    assert (info.size, info.next_id) == (6, 7)
    assert labels_of(any_store) == {0: "0", 2: "2"} | late(4)
    assert sources(any_store) == {3 + n: f"/photos/{n}.jpg" for n in range(4)}
    changes = any_store.changes(before)
    assert changes is not None
    assert changes.added.ids == [3, 4, 5, 6]
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM gallery")).scalar_one() == 1
        assert connection.execute(text("SELECT count(*) FROM template")).scalar_one() == 7
    engine.dispose()
    assert jobs.job("job").generation == info.generation


def test_append_of_several_pages(
    any_store: GalleryStore, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "PAGE", 3)
    build(any_store)
    published(any_store, mode=JobMode.APPEND, count=7, keep_sources=True)
    assert labels_of(any_store) == OLD | late(7)
    assert sources(any_store) == {3 + n: f"/photos/{n}.jpg" for n in range(7)}


def test_append_to_what_is_gone_or_another_model(any_store: GalleryStore, jobs: JobStore) -> None:
    build(any_store)
    begun(jobs, mode=JobMode.APPEND)
    jobs.stage("job", HOLDER, plain(0, 2))
    any_store.do(Drop("staff"))
    with pytest.raises(GalleryNotFoundError, match="any more"):
        jobs.publish("job", HOLDER, "")
    other = StagedGallery("Flat", Metric.IP, DIMENSION, "other")
    published(any_store, "other", wanted=other)
    with pytest.raises(GalleryMismatchError, match="of model other"):
        jobs.publish("job", HOLDER, "")
    assert info_of(any_store).size == 3
    info = jobs.publish("job", HOLDER, "", frozenset({"other"}))
    assert info.size == 5


def test_nothing_to_append(any_store: GalleryStore, jobs: JobStore) -> None:
    build(any_store)
    begun(jobs, mode=JobMode.APPEND)
    assert jobs.publish("job", HOLDER, "").size == 3
    assert labels_of(any_store) == OLD


def test_replace_and_back_and_forth(any_store: GalleryStore, jobs: JobStore) -> None:
    build(any_store)
    old = info_of(any_store)
    info = published(any_store, mode=JobMode.REPLACE, count=5)
    assert labels_of(any_store) == new(5)
    before = jobs.previous("staff")
    assert (before.generation, before.size) == (old.generation, 3)
    assert back(any_store).generation == old.generation
    assert labels_of(any_store) == OLD
    assert info_of(any_store) == old
    assert back(any_store) == info
    assert labels_of(any_store) == new(5)


def test_replace_what_is_not_there(any_store: GalleryStore) -> None:
    published(any_store, mode=JobMode.REPLACE)
    assert labels_of(any_store) == new(3)


def test_replaced_twice_only_the_last_one_is_kept(
    any_store: GalleryStore, jobs: JobStore, database_url: str
) -> None:
    build(any_store)
    published(any_store, "a", mode=JobMode.REPLACE, count=4)
    published(any_store, "b", mode=JobMode.REPLACE, count=5)
    assert jobs.previous("staff").size == 4
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM template")).scalar_one() == 9
    engine.dispose()


def test_a_replaced_gallery_can_be_changed_and_had_back_changed(any_store: GalleryStore) -> None:
    build(any_store)
    published(any_store, mode=JobMode.REPLACE)
    any_store.add("staff", ["late"], embeddings(1), with_labels=False)
    back(any_store)
    any_store.add("staff", ["later"], embeddings(1), with_labels=False)
    assert labels_of(any_store) == OLD | {3: "later"}
    back(any_store)
    assert labels_of(any_store) == new(3) | {3: "late"}


def test_going_back_to_what_was_replaced_meanwhile(any_store: GalleryStore, jobs: JobStore) -> None:
    build(any_store)
    old = info_of(any_store)
    published(any_store, "a", mode=JobMode.REPLACE)
    published(any_store, "b", mode=JobMode.REPLACE)
    with pytest.raises(GalleryNotFoundError, match="can't go back any more"):
        jobs.rollback("staff", old.generation)
    assert labels_of(any_store) == new(3)


def test_what_was_done_to_the_old_one_is_to_be_done_to_the_new_one(
    any_store: GalleryStore,
) -> None:
    build(any_store)
    one = Operation("one")
    any_store.add("staff", ["x"], embeddings(1), with_labels=False, operation=one)
    published(any_store, mode=JobMode.REPLACE, count=5)
    again = any_store.add("staff", ["x"], embeddings(1), with_labels=False, operation=one)
    assert again.ids == [5]


def test_snapshots_that_hold_what_was_removed_go_when_it_is_replaced(
    any_store: GalleryStore,
) -> None:
    """Nobody makes them anew any more."""
    build(any_store)
    generation = info_of(any_store).generation
    unclean = SnapshotRow("unclean", generation, Shard(), 1, 3, 3, time.time())
    any_store.register(unclean)
    any_store.remove("staff", [0], with_labels=False)
    clean = SnapshotRow("clean", generation, Shard(), 2, 3, 2, time.time())
    any_store.register(clean)
    published(any_store, mode=JobMode.REPLACE)
    assert any_store.every_snapshot() == [clean]


def test_a_lost_answer(any_store: GalleryStore, jobs: JobStore) -> None:
    """Committed, but nobody was told: done once all the same."""
    build(any_store)
    begun(jobs, mode=JobMode.REPLACE)
    jobs.stage("job", HOLDER, plain(0, 2))
    with twice(jobs):
        info = jobs.publish("job", HOLDER, "")
    assert (info.size, info.key) == (2, "staff")
    with twice(jobs):
        info = jobs.rollback("staff", jobs.previous("staff").generation)
    assert labels_of(any_store) == OLD
    begun(jobs, "append", mode=JobMode.APPEND)
    with twice(jobs):
        jobs.stage("append", HOLDER, plain(0, 2))
    assert jobs.job("append").accepted == 2
    with twice(jobs):
        jobs.publish("append", HOLDER, "")
    assert labels_of(any_store) == OLD | late(2)


class twice:  # noqa: N801 - reads as a verb
    """Every transaction is committed, then begun again, as when its answer was lost."""

    def __init__(self, jobs: JobStore) -> None:
        self._transactions = jobs._transactions
        self._write = self._transactions.write

    def __enter__(self) -> None:
        def write(work: Callable[[Connection], object]) -> object:
            self._write(work)
            return self._write(work)

        self._transactions.write = write  # type: ignore[method-assign, assignment]

    def __exit__(self, *_: object) -> None:
        self._transactions.write = self._write  # type: ignore[method-assign]


@pytest.mark.parametrize("mode", [JobMode.APPEND, JobMode.REPLACE])
def test_readers_see_all_or_none(database_url: str, mode: JobMode, vault: Vault | None) -> None:
    """In the store, and in a replica's memory."""
    store, reader = GalleryStore(database_url, vault=vault), GalleryStore(database_url, vault=vault)
    build(store, count=3)
    cache = GalleryCache(reader)
    done = threading.Event()
    whole = [OLD, new(500) if mode is JobMode.REPLACE else OLD | late(500)]
    seen: Counter[int] = Counter()

    def read() -> None:
        while not done.is_set():
            info = reader.describe(["staff"])["staff"]
            listed = {each.id: each.label for each in reader.templates(info, None, -1, 1000)}
            assert not listed or listed in whole  # a page of a generation: it may be over
            found = people(cache)
            assert found in whole
            seen[whole.index(found)] += 1
            time.sleep(0.002)

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        try:
            time.sleep(0.1)
            published(store, mode=mode, count=500)
            time.sleep(0.2)
        finally:
            done.set()
        for each in reading:
            each.result()
    assert set(seen) == {0, 1}
    cache.close()
    store.close()
    reader.close()


def test_whoever_waits_for_a_switch_finds_the_new_one(
    any_store: GalleryStore, database_url: str, vault: Vault | None
) -> None:
    """PostgreSQL: a writer that waited for the old row must not say that there is no gallery."""
    build(any_store)
    other = GalleryStore(database_url, vault=vault)
    jobs = JobStore(any_store)
    begun(jobs, mode=JobMode.REPLACE)
    jobs.stage("job", HOLDER, plain(0, 5))
    begun(jobs, "second", mode=JobMode.REPLACE)
    jobs.stage("second", HOLDER, plain(0, 7))
    with ThreadPoolExecutor(2) as pool:
        waiting: list[Future[Any]] = []

        def work(connection: Connection) -> None:
            publishing.publish(connection, "job", HOLDER, "")
            waiting.append(pool.submit(other.add, "staff", ["x"], embeddings(1), with_labels=False))
            time.sleep(0.3)

        any_store.transactions.write(work)
        assert waiting[0].result(timeout=30).ids == [5]
        waiting.clear()

        def again(connection: Connection) -> None:
            publishing.publish(connection, "second", HOLDER, "")
            waiting.append(pool.submit(published, other, "third", mode=JobMode.REPLACE))
            time.sleep(0.3)

        any_store.transactions.write(again)
        assert waiting[0].result(timeout=30).size == 3
    assert info_of(any_store).size == 3
    assert jobs.previous("staff").size == 7
    other.close()
