"""A job is run by one process at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import JobConflictError, JobLostError, JobNotFoundError
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs import holding
from serve_app.jobs.holding import Hold, check_held, held
from serve_app.types import JobState
from tests.index.databases import both, new_url

from .away import away
from .samples import JOB, begun, submitted


@pytest.fixture
def any_jobs(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    store = GalleryStore(new_url(database, request, tmp_path))
    yield JobStore(store)
    store.close()


def times(monkeypatch: pytest.MonkeyPatch, *, held_s: float, word_s: float) -> None:
    monkeypatch.setattr(holding, "HELD_S", held_s)
    monkeypatch.setattr(holding, "WORD_S", word_s)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "job-hold"]


@both
def test_one_run_at_a_time(any_jobs: JobStore) -> None:
    submitted(any_jobs)
    with held(any_jobs, JOB) as (hold, job):
        assert (job.state, hold.lost.is_set()) == (JobState.RUNNING, False)
        with pytest.raises(JobConflictError, match="running already"), held(any_jobs, JOB):
            raise AssertionError("two run it")
        check_held(hold)
        assert threads() == ["job-hold"]
    assert threads() == []
    with held(any_jobs, JOB) as (again, _):  # at once
        assert again.holder != hold.holder


@both
def test_whoever_is_slow_keeps_it(any_jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, held_s=0.6, word_s=0.1)
    submitted(any_jobs)
    with held(any_jobs, JOB) as (hold, _):
        time.sleep(1.2)
        with pytest.raises(JobConflictError):
            Hold(any_jobs, JOB).take()
        check_held(hold)


@both
def test_a_dead_runs_job_can_be_taken(any_jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, held_s=0.5, word_s=3600)
    submitted(any_jobs)
    dead = Hold(any_jobs, JOB)
    dead.take()
    try:
        with pytest.raises(JobConflictError, match=r"can be begun again in [01] s"):
            Hold(any_jobs, JOB).take()
        time.sleep(0.6)
        with held(any_jobs, JOB) as (hold, job):
            assert job.state is JobState.RUNNING
            with pytest.raises(JobLostError, match="another process"):
                any_jobs.hold(JOB, dead.holder, 60)  # it was not dead after all
            dead.release()  # and lets go of nothing that is another's
            any_jobs.hold(JOB, hold.holder, 60)
    finally:
        dead.release()


@both
def test_a_run_that_was_given_up_notices(
    any_jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    times(monkeypatch, held_s=60, word_s=0.05)
    submitted(any_jobs)
    with held(any_jobs, JOB) as (hold, _):
        any_jobs.let_go(JOB, hold.holder)
        any_jobs.take(JOB, "another", 60)
        assert hold.lost.wait(5)
        with pytest.raises(JobLostError):
            check_held(hold)
    with pytest.raises(JobConflictError):  # still the other's
        Hold(any_jobs, JOB).take()


@both
def test_a_cancelled_job_is_noticed(any_jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, held_s=60, word_s=0.05)
    begun(any_jobs)
    any_jobs.let_go(JOB, "me")
    with held(any_jobs, JOB) as (hold, _):
        any_jobs.end(JOB, JobState.CANCELLED, "cancelled")
        assert hold.lost.wait(5)
    assert any_jobs.job(JOB).state is JobState.CANCELLED


def test_a_store_that_is_away_loses_nothing(
    file: Path,
    jobs: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    times(monkeypatch, held_s=0.2, word_s=0.05)
    submitted(jobs)
    with held(jobs, JOB) as (hold, _):
        with away(file):
            time.sleep(0.5)
        assert "the gallery store does not answer; the job goes on" in caplog.text
        time.sleep(0.3)
        check_held(hold)
        jobs.hold(JOB, hold.holder, 60)


def test_a_job_that_is_over_is_answered_as_it_ended(jobs: JobStore) -> None:
    submitted(jobs)
    jobs.end(JOB, JobState.FAILED, "no face in any")
    with held(jobs, JOB) as (_, job):
        assert (job.state, job.message) == (JobState.FAILED, "no face in any")


def test_a_job_that_is_not_there(jobs: JobStore) -> None:
    with pytest.raises(JobNotFoundError), held(jobs, "nobody"):
        raise AssertionError("it is not there")
    assert threads() == []


def test_an_error_within_lets_go(jobs: JobStore) -> None:
    submitted(jobs)
    with pytest.raises(KeyError), held(jobs, JOB):
        raise KeyError
    with held(jobs, JOB):
        pass
