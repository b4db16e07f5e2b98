"""What a host does with a job that ends, waits or breaks off; without Ray."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from serve_app.config import ServiceArgs, database_url, parse_service_args
from serve_app.deployments import job_host
from serve_app.errors import (
    ConfigError,
    FaceServeError,
    JobChangedError,
    JobConflictError,
    JobLostError,
    JobNotFoundError,
    ModelError,
    UnavailableError,
)
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.models.zoo.opening import unwatched
from serve_app.types import JobMode, JobState
from tests.index.staged_rows import FLAT
from tests.jobs.samples import rows


class Runs:
    """In the place of ``run_job``: each call raises the next of ``errors``, then all is well."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, job_id: str, service: ServiceArgs, environ: Any, **options: Any) -> None:
        self.calls.append({"job_id": job_id, "service": service, "environ": environ, **options})
        if self._errors:
            raise self._errors.pop(0)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceArgs:
    monkeypatch.setattr(job_host, "AGAIN_S", 0.0)
    url = f"sqlite:///{tmp_path / 'galleries.db'}"
    return parse_service_args({"database_url": url, "jobs": {"inputs": ["/photos"]}})


@pytest.fixture
def jobs(service: ServiceArgs) -> Iterator[JobStore]:
    store = GalleryStore(database_url(service, {}))
    jobs = JobStore(store)
    jobs.submit("one", "staff", JobMode.CREATE, "{}", "digest")
    yield jobs
    store.close()


def run(runs: Runs, service: ServiceArgs, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("build_gallery")
    module.run_job = runs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "serve_app.jobs.build_gallery", module)
    job_host.run_to_end("one", service, unwatched)


def test_a_job_runs_with_what_the_replica_knows(
    service: ServiceArgs, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_SERVE_DATABASE_URL", "postgresql://elsewhere/db")
    runs = Runs()
    run(runs, service, monkeypatch)
    (call,) = runs.calls
    assert database_url(call["service"], call["environ"]) == service.database_url
    assert (call["job_id"], call["allowed"]) == ("one", ("/photos",))
    assert jobs.job("one").state is JobState.QUEUED


def test_it_waits_as_long_as_another_runs_the_job_or_the_store_is_down(
    service: ServiceArgs, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Exception] = [JobConflictError("x"), UnavailableError("x"), JobLostError("x")]
    waits += [ConfigError("database galleries can't be reached"), ActorDiedError()]
    runs = Runs(*waits * 5)
    run(runs, service, monkeypatch)
    assert len(runs.calls) == 26
    assert jobs.job("one").state is JobState.QUEUED


def task_error() -> RayTaskError:
    return RayTaskError("work", "Anna in /srv", ValueError("Anna in /srv"))


@pytest.mark.parametrize(
    ("errors", "state", "message"),
    [
        ([ModelError("the model is damaged")], JobState.FAILED, "the model is damaged"),
        ([ValueError("Anna in /srv")] * 3, JobState.FAILED, job_host.BROKE_OFF),
        ([task_error()] * 3, JobState.FAILED, job_host.BROKE_OFF),
        ([ValueError("Anna in /srv")] * 2, JobState.QUEUED, ""),
        ([JobNotFoundError("gone")], JobState.QUEUED, ""),
        ([JobChangedError("its input")], JobState.QUEUED, ""),
    ],
)
def test_how_it_ends(
    service: ServiceArgs,
    jobs: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[Exception],
    state: JobState,
    message: str,
) -> None:
    unexpected = sum(not isinstance(error, FaceServeError) for error in errors)
    runs = Runs(*errors)
    run(runs, service, monkeypatch)
    assert len(runs.calls) == min(unexpected + 1, job_host.ATTEMPTS)
    job = jobs.job("one")
    assert (job.state, job.message) == (state, message)


def begun(jobs: JobStore) -> None:
    jobs.take("one", "me", 60)
    jobs.begin("one", "me", FLAT, 100, "fingerprint")


class Settles(Runs):
    """Each run settles ten rows more before it breaks off."""

    def __init__(self, jobs: JobStore, *errors: Exception) -> None:
        super().__init__(*errors)
        self._jobs = jobs

    def __call__(self, job_id: str, service: ServiceArgs, environ: Any, **options: Any) -> None:
        self._jobs.stage(job_id, "me", rows(10 * len(self.calls), 10))
        super().__call__(job_id, service, environ, **options)


def test_a_job_that_gets_on_may_break_off_often(
    service: ServiceArgs, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(jobs)
    runs = Settles(jobs, *[ValueError("once a day")] * 6)
    run(runs, service, monkeypatch)
    assert len(runs.calls) == 7
    assert jobs.job("one").state is JobState.RUNNING


def test_what_another_runs_is_not_ended(
    service: ServiceArgs, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(jobs)
    jobs.stage("one", "me", rows(0, 10))
    run(Runs(*[ValueError("no room")] * 3), service, monkeypatch)
    job = jobs.job("one")
    assert job.state is JobState.RUNNING
    assert jobs.staged(job).size == 10


def test_names_of_hosts() -> None:
    assert job_host.name_of("one") == "face-serve-job-one"
