"""Who runs a job, how far it is, how it ended; on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.errors import (
    JobConflictError,
    JobLostError,
    JobNotFoundError,
    OperationReusedError,
)
from serve_app.index.staged import RowOutcome
from serve_app.index.store import GalleryStore, job_rows
from serve_app.index.store.job_store import JobStore
from serve_app.types import Job, JobMode, JobState
from tests.index.staged_rows import FLAT, begun, plain, row, settled


@pytest.fixture
def jobs(any_store: GalleryStore) -> JobStore:
    return JobStore(any_store)


def submit(jobs: JobStore, job_id: str = "job", digest: str = "digest") -> Job:
    return jobs.submit(job_id, "staff", JobMode.CREATE, "{}", digest)


def test_submitted_again_it_is_the_same_job(jobs: JobStore) -> None:
    first = submit(jobs)
    assert (first.state, first.key, first.mode) == (JobState.QUEUED, "staff", JobMode.CREATE)
    assert (first.total, first.done, first.generation, first.left_s) == (None, 0, None, None)
    assert submit(jobs) == first
    with pytest.raises(OperationReusedError, match="begun with other arguments"):
        submit(jobs, digest="other")


def test_submitted_twice_at_once(any_store: GalleryStore, database_url: str) -> None:
    other = JobStore(GalleryStore(database_url))
    both = [JobStore(any_store), other]
    for number in range(10):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda i, n=number: submit(both[i % 2], f"job {n}"), range(4)))
        assert len({each.created_at for each in found}) == 1
    assert len(other.jobs(100)) == 10


def test_there_is_no_such_job(jobs: JobStore) -> None:
    for ask in (
        lambda: jobs.job("none"),
        lambda: jobs.take("none", "me", 60),
        lambda: jobs.hold("none", "me", 60),
        lambda: jobs.begin("none", "me", FLAT, 1, "f"),
        lambda: jobs.end("none", JobState.FAILED, ""),
    ):
        with pytest.raises(JobNotFoundError, match="job none does not exist"):
            ask()


def test_one_runs_it(jobs: JobStore) -> None:
    submit(jobs)
    assert jobs.take("job", "ann", 60).state is JobState.RUNNING
    jobs.take("job", "ann", 60)
    with pytest.raises(JobConflictError, match=r"can be begun again in (59|60) s"):
        jobs.take("job", "bob", 60)
    with pytest.raises(JobLostError):
        jobs.hold("job", "bob", 60)
    jobs.let_go("job", "bob")  # it isn't his
    with pytest.raises(JobConflictError):
        jobs.take("job", "bob", 60)
    jobs.let_go("job", "ann")
    jobs.take("job", "bob", 60)
    with pytest.raises(JobLostError, match="another process"):
        jobs.hold("job", "ann", 60)


def test_one_of_many_takes_it(any_store: GalleryStore, database_url: str) -> None:
    stores = [any_store, GalleryStore(database_url)]
    submit(JobStore(any_store))

    def take(number: int) -> bool:
        try:
            JobStore(stores[number % 2]).take("job", str(number), 60)
        except JobConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 1
    stores[1].close()


def test_whoever_was_given_up_writes_nothing_more(jobs: JobStore, any_store: GalleryStore) -> None:
    begun(jobs, holder="ann")
    jobs.stage("job", "ann", plain(0, 2))
    jobs.hold("job", "ann", 0.1)
    time.sleep(0.15)
    jobs.hold("job", "ann", 0.1)  # nobody has taken it: it is still hers
    time.sleep(0.15)
    assert jobs.take("job", "bob", 60).done == 2
    for write in (
        lambda: jobs.stage("job", "ann", plain(2, 2)),
        lambda: jobs.publish("job", "ann", ""),
        lambda: jobs.begin("job", "ann", FLAT, None, "fingerprint"),
        lambda: jobs.hold("job", "ann", 60),
        lambda: jobs.end("job", JobState.FAILED, "a damaged model", "ann"),
    ):
        with pytest.raises(JobLostError):
            write()
    assert jobs.job("job").done == 2
    jobs.stage("job", "bob", plain(2, 1))
    assert jobs.publish("job", "bob", "").size == 3


def test_the_rate_is_of_the_present_run(jobs: JobStore) -> None:
    begun(jobs, holder="ann", total=100)
    jobs.stage("job", "ann", plain(0, 50))
    jobs.let_go("job", "ann")
    jobs.take("job", "bob", 60)
    assert jobs.job("job").rate == 0
    time.sleep(0.1)
    job = jobs.stage("job", "bob", plain(50, 10))
    assert 0 < job.rate <= 100
    assert job.left_s == pytest.approx(40 / job.rate)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_an_end_is_final(jobs: JobStore, state: JobState) -> None:
    begun(jobs)
    jobs.stage("job", "me", plain(0, 2))
    ended = jobs.end("job", state, "too many were rejected")
    assert (ended.state, ended.message, ended.generation) == (state, "too many were rejected", None)
    assert jobs.end("job", JobState.CANCELLED, "again") == ended
    assert jobs.end("job", JobState.FAILED, "by a run that did not notice", "me") == ended
    assert jobs.take("job", "bob", 60) == ended
    assert submit(jobs) == ended
    for write in (
        lambda: jobs.stage("job", "me", plain(2, 1)),
        lambda: jobs.hold("job", "me", 60),
        lambda: jobs.publish("job", "me", ""),
    ):
        with pytest.raises(JobLostError):
            write()


def test_the_newest_are_listed_first(jobs: JobStore) -> None:
    for name in ("a", "b", "c"):
        submit(jobs, name)
        time.sleep(0.01)
    assert [job.id for job in jobs.jobs(2)] == ["c", "b"]


def test_rejections_by_pages(jobs: JobStore) -> None:
    begun(jobs)
    rows = [
        row(n, outcome=RowOutcome.REJECTED, reason="no face") if n % 2 else row(n) for n in range(9)
    ]
    jobs.stage("job", "me", settled(rows))
    first = jobs.rejections("job", -1, 3)
    assert [(each.position, each.label, each.reason) for each in first] == [
        (1, "new 1", "no face"), (3, "new 3", "no face"), (5, "new 5", "no face"),
    ]  # fmt: skip
    assert first[0].source == "/photos/1.jpg"
    assert [each.position for each in jobs.rejections("job", 5, 3)] == [7]


def test_only_what_is_over_is_forgotten(jobs: JobStore) -> None:
    begun(jobs)
    jobs.forget("job")
    assert jobs.job("job").state is JobState.RUNNING
    jobs.end("job", JobState.FAILED, "")
    jobs.forget("job")
    with pytest.raises(JobNotFoundError):
        jobs.job("job")
    begun(jobs)  # the id is free


def test_jobs_are_pruned_by_age(any_store: GalleryStore, jobs: JobStore) -> None:
    def prune(kept_s: float, rows_kept_s: float) -> None:
        any_store.transactions.write(
            lambda connection: job_rows.prune(connection, kept_s, rows_kept_s)
        )

    begun(jobs, "done", "done")
    jobs.stage("done", "me", settled([row(0), row(1, outcome=RowOutcome.REJECTED)]))
    jobs.publish("done", "me", "")
    left = begun(jobs, "left", "left")
    jobs.stage("left", "me", settled([row(0), row(1, outcome=RowOutcome.REJECTED)]))
    jobs.let_go("left", "me")
    begun(jobs, "held", "held")
    prune(60, 60)
    assert len(jobs.rejections("done", -1, 9)) == 1
    prune(60, -1)
    assert jobs.rejections("done", -1, 9) == []
    assert len(jobs.rejections("left", -1, 9)) == 1
    prune(-1, -1)
    assert sorted(job.id for job in jobs.jobs(9)) == ["held", "left"]
    ended = jobs.job("left")
    assert ended.state is JobState.FAILED
    assert "nobody went on with it" in ended.message
    assert left.generation is not None
    assert any_store.of_generation(left.generation) is None
    assert jobs.rejections("left", -1, 9) == []
    assert any_store.entry("done").info.size == 1
    assert jobs.job("held").state is JobState.RUNNING
