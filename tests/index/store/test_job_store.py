"""The store's face for jobs, on both databases, and on a PostgreSQL that fails."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from serve_app.errors import JobLostError, UnavailableError
from serve_app.index.staged import RowOutcome
from serve_app.index.store import GalleryStore, job_store
from serve_app.index.store.job_store import JobStore
from serve_app.types import Embeddings, JobMode, JobState
from tests.index.samples import MODEL, build, info_of, labels_of
from tests.index.staged_rows import FLAT, HOLDER, begun, new, plain, published, row, settled

from .administrator import kill

PLAIN_AND_SEALED = True


@pytest.fixture
def jobs(any_store: GalleryStore) -> JobStore:
    return JobStore(any_store)


def test_rows_for_the_report(jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of images; of ready embeddings those that were rejected."""
    monkeypatch.setattr(job_store, "PAGE", 2)
    begun(jobs)
    rows = [row(n, digest=bytes([n])) for n in range(4)]
    rows += [row(4, "bob", RowOutcome.REJECTED, reason="no face"), row(5)]
    jobs.stage("job", HOLDER, settled(rows))
    assert list(jobs.rows("job")) == rows[:5]
    jobs.publish("job", HOLDER, "")
    assert list(jobs.rows("job")) == rows[:5]
    jobs.forget("job")
    assert list(jobs.rows("job")) == []
    assert labels_of(jobs._store)[3] == "new 3"


def test_sources_by_pages(jobs: JobStore, any_store: GalleryStore) -> None:
    info = published(any_store, count=5, keep_sources=True)
    assert jobs.sources(info, -1, 2) == [
        (0, "/photos/0.jpg", "new 0"),
        (1, "/photos/1.jpg", "new 1"),
    ]
    assert [number for number, _, _ in jobs.sources(info, 1, 9)] == [2, 3, 4]
    assert jobs.sources(published(any_store, "other", "other"), -1, 9) == []


def test_cancelled_while_it_is_run(jobs: JobStore, any_store: GalleryStore) -> None:
    begun(jobs)
    jobs.stage("job", HOLDER, plain(0, 2))
    assert jobs.end("job", JobState.CANCELLED, "cancelled").state is JobState.CANCELLED
    with pytest.raises(JobLostError, match="job job was cancelled"):
        jobs.stage("job", HOLDER, plain(2, 2))
    assert any_store.galleries("", 9) == []


def test_ended_after_it_was_done(jobs: JobStore, any_store: GalleryStore) -> None:
    published(any_store)
    assert jobs.end("job", JobState.CANCELLED, "too late").state is JobState.DONE
    assert info_of(any_store).size == 3


def test_staged_of_a_job_that_began_nothing(jobs: JobStore) -> None:
    job = jobs.submit("job", "staff", JobMode.CREATE, "{}", "digest")
    with pytest.raises(UnavailableError, match="give it another job id"):
        jobs.staged(job)
    jobs.take("job", HOLDER, 60)
    with pytest.raises(UnavailableError, match="give it another job id"):
        jobs.publish("job", HOLDER, "")


@pytest.fixture
def torn(pg_store: GalleryStore, reused_url: str, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Loses the connection at the next commit: before it, or after it and before its answer."""
    dialect = pg_store._engine.dialect
    commit = dialect.do_commit
    armed: list[bool] = []

    def tear(connection: Any) -> None:
        if armed:
            if armed.pop():
                commit(connection)
            driver = connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            kill(reused_url, driver.info.backend_pid)
            driver.execute("SELECT 1")  # fails as the lost commit would
        commit(connection)

    monkeypatch.setattr(dialect, "do_commit", tear)
    return armed


@pytest.mark.parametrize("committed", [False, True])
def test_a_connection_lost_at_commit(
    pg_store: GalleryStore, torn: list[bool], committed: bool
) -> None:
    """Whatever is done, it is done once."""
    jobs = JobStore(pg_store)

    def arm() -> None:
        assert torn == []
        torn.append(committed)

    arm()
    jobs.submit("job", "staff", JobMode.REPLACE, "{}", "digest")
    arm()
    jobs.take("job", HOLDER, 60)
    arm()
    jobs.begin("job", HOLDER, FLAT, None, "f")
    for start in (0, 2):
        arm()
        job = jobs.stage("job", HOLDER, plain(start, 2))
        assert (job.done, job.accepted) == (start + 2, start + 2)
    arm()
    assert jobs.publish("job", HOLDER, "").size == 4
    assert labels_of(pg_store) == new(4)
    arm()
    jobs.rollback("staff", jobs.previous("staff").generation)
    assert labels_of(pg_store) == {0: "0"}
    assert torn == []


def test_stages_while_the_gallery_is_written_to(any_store: GalleryStore, jobs: JobStore) -> None:
    """An append's target is served and changed meanwhile; nothing of either is lost."""
    build(any_store)
    begun(jobs, mode=JobMode.APPEND)
    stop = threading.Event()
    added: list[int] = []

    def write() -> None:
        while not stop.is_set():
            enrolled = plain(0, 1).vectors
            answer = any_store.add("staff", ["w"], Embeddings(MODEL, enrolled), with_labels=False)
            added.extend(answer.ids)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for start in range(0, 100, 10):
            jobs.stage("job", HOLDER, plain(start, 10))
        jobs.publish("job", HOLDER, "")
    finally:
        stop.set()
        thread.join()
    found = labels_of(any_store)
    assert len(found) == info_of(any_store).size == 3 + 100 + len(added)
    assert [label for label in found.values() if label.startswith("new")] == list(new(100).values())
    assert all(found[number] == "w" for number in added)
