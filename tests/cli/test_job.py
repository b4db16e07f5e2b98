"""``face-serve-job``: what it is asked and how it ends. What it does: tests/jobs and the
integration tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli import job
from serve_app.cli.job_options import request_of
from serve_app.config import JobRequest, ServiceArgs
from serve_app.errors import (
    ConfigError,
    FaceServeError,
    JobChangedError,
    JobConflictError,
    JobLostError,
    OperationReusedError,
    UnavailableError,
)
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.job_store import JobStore
from serve_app.types import Job, JobState
from tests.jobs.samples import submitted


class Run:
    """In the place of a job's run: ``end`` is how it ends."""

    def __init__(self, job: Job) -> None:
        self.end: Job | FaceServeError = replace(job, state=JobState.DONE, message="3 enrolled")
        self.asked: list[tuple[str, JobRequest, ServiceArgs]] = []
        self.connected = 0

    def __call__(
        self,
        job_id: str,
        request: JobRequest,
        service: ServiceArgs,
        environ: Mapping[str, str],
        *,
        say: Callable[[str], None],
    ) -> Job:
        assert self.connected == 1
        self.asked.append((job_id, request, service))
        say("1 of 3 rows")
        if isinstance(self.end, FaceServeError):
            raise self.end
        return self.end

    def connect(self, **_: Any) -> None:
        self.connected += 1

    def disconnect(self) -> None:
        self.connected -= 1


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    store = GalleryStore(sqlite_url(tmp_path / "galleries.db"))
    run = Run(submitted(JobStore(store)))
    store.close()
    monkeypatch.setattr("serve_app.jobs.build_gallery.submitted_job", run)
    monkeypatch.setattr("ray.init", run.connect)
    monkeypatch.setattr("ray.shutdown", run.disconnect)
    return run


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(job.app, [*arguments, "--data-dir", "."])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_done(run: Run, tmp_path: Path) -> None:
    result = invoke("staff", "/photos", "--job-id", "monday", "--keep-sources")
    assert result.exit_code == 0
    assert result.stdout == "job monday\n1 of 3 rows\ngallery staff: 3 enrolled\n"
    ((name, request, service),) = run.asked
    assert (name, service.data_dir) == ("monday", tmp_path)
    assert request == request_of(key="staff", input="/photos", keep_sources=True)
    assert run.connected == 0


def test_a_new_job_has_a_name_of_its_own(run: Run) -> None:
    names = [invoke("staff", "/photos").stdout.split()[1] for _ in range(2)]
    assert names == [name for name, _, _ in run.asked]
    assert len(set(names)) == 2


def test_actors(run: Run, tmp_path: Path) -> None:
    (tmp_path / "serve.yaml").write_text(
        "applications: [{args: {jobs: {detectors: 3, extractors: 5, cpus: 2}}}]", encoding="utf-8"
    )
    config = ["--config", "serve.yaml"]
    invoke("staff", "/photos", *config)
    invoke("staff", "/photos", *config, "--detectors", "7")
    invoke("staff", "/photos", *config, "--extractors", "9", "--detectors", "1")
    settings = [service.jobs for _, _, service in run.asked]
    assert [(one.detectors, one.extractors, one.cpus) for one in settings] == [
        (3, 5, 2), (7, 5, 2), (1, 9, 2),
    ]  # fmt: skip


def test_it_can_not_work(run: Run) -> None:
    assert isinstance(run.end, Job)
    run.end = replace(run.end, state=JobState.FAILED, message="none of 3 rows could be enrolled")
    result = invoke("staff", "/photos")
    assert result.exit_code == 2
    assert "nothing was changed: none of 3 rows could be enrolled\n" in result.stderr
    assert run.connected == 0


@pytest.mark.parametrize("kind", [JobConflictError, JobLostError, UnavailableError])
def test_it_broke_off(kind: type[FaceServeError], run: Run) -> None:
    run.end = kind("the store is away")
    result = invoke("staff", "/photos", "--job-id", "monday")
    assert result.exit_code == 3
    assert "the store is away; job monday can be begun again\n" in result.stderr
    assert run.connected == 0


@pytest.mark.parametrize("kind", [OperationReusedError, JobChangedError])
def test_another_job_of_this_id(kind: type[FaceServeError], run: Run) -> None:
    """A mistake: begun again, it is one again."""
    run.end = kind("job monday was begun with other arguments")
    with pytest.raises(kind):
        invoke("staff", "/photos", "--job-id", "monday")
    assert run.connected == 0


@pytest.mark.parametrize(
    "arguments",
    [["staff", "/photos", "--kind", "csv"], ["staff", "/photos", "--config", "no.yaml"]],
)
def test_mistakes_are_told_before_a_cluster_is_there(arguments: list[str], run: Run) -> None:
    with pytest.raises(ConfigError):
        invoke(*arguments)
    assert (run.connected, run.asked) == (0, [])


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    code = "from serve_app.cli.job import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "a/b/c", "people", "--data-dir", "."],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("face-serve: a gallery is named KEY or TENANT/KEY")
    assert len(done.stderr.splitlines()) == 1
