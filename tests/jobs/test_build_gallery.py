"""A job from its request to its end, of ready embeddings: those need no cluster. Of images: the
integration tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.access import Quota
from serve_app.config import ServiceArgs
from serve_app.errors import (
    ConfigError,
    InvalidRequestError,
    JobConflictError,
    JobLostError,
    JobNotFoundError,
    OperationReusedError,
    UnavailableError,
)
from serve_app.index.store import GalleryStore, job_rows, sqlite_url
from serve_app.index.store.access_store import AccessStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs import build_gallery
from serve_app.jobs.build_gallery import progress, run_job, submitted_job
from serve_app.types import Caller, Job, JobState, Metric, Vectors
from tests.index.samples import MODEL, build

from .samples import ALL, begun, request, submitted


def power_off() -> None:
    raise UnavailableError("the power went off")


class Service:
    """Of a directory; what its jobs said."""

    def __init__(self, data_dir: Path) -> None:
        self.args = ServiceArgs(data_dir=data_dir)
        self.store = GalleryStore(sqlite_url(data_dir / "galleries.db"))
        self.jobs = JobStore(self.store)
        self.said: list[str] = []
        self.breaks_at: int | None = None
        self.then: Callable[[], None] = power_off

    def say(self, line: str) -> None:
        self.said.append(line)
        if self.breaks_at is not None and line.startswith(f"{self.breaks_at} of "):
            self.then()

    def run(self, table: Path, job_id: str = "job", **facts: Any) -> Job:
        asked = request(**{"input": str(table), "model_id": MODEL, **facts})
        return submitted_job(job_id, asked, self.args, {}, say=self.say)

    def holder(self, job_id: str) -> str:
        return str(self.store.transactions.query(lambda c: job_rows.locked(c, job_id)).holder)

    def cancel(self, job_id: str) -> None:
        self.jobs.end(job_id, JobState.CANCELLED, "cancelled")

    def templates(self, key: str = "staff") -> tuple[list[int], list[str], Vectors]:
        page = self.store.page(self.store.entry(key).info, -1, 1000)
        return page.ids, page.labels, page.vectors


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.store.close()


@pytest.fixture
def tens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows a commit, and a line after each."""
    monkeypatch.setattr(build_gallery, "COMMIT_ROWS", 10)
    monkeypatch.setattr("serve_app.jobs.settling.COMMIT_ROWS", 10)
    monkeypatch.setattr(build_gallery, "PROGRESS_S", 0.0)


def written(file: Path, count: int, *, zeros: tuple[int, ...] = (), start: int = 0) -> Path:
    vectors = ALL[start : start + count].copy()
    vectors[list(zeros)] = 0
    flat = pa.array(vectors.reshape(-1))
    columns = {
        "label": [f"person {start + number}" for number in range(count)],
        "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
    }
    pq.write_table(pa.table(columns), file)
    return file


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """40 rows; the third and the thirtieth can't be enrolled."""
    return written(tmp_path / "people.parquet", 40, zeros=(3, 30))


GOOD = [number for number in range(40) if number not in (3, 30)]


def test_created(service: Service, table: Path, tmp_path: Path) -> None:
    job = service.run(table)
    assert (job.state, job.message) == (JobState.DONE, "38 templates enrolled, 2 rows rejected")
    assert (job.total, job.done, job.accepted, job.rejected) == (40, 40, 38, 2)
    ids, labels, vectors = service.templates()
    assert ids == list(range(38))
    assert labels == [f"person {number}" for number in GOOD]
    np.testing.assert_allclose(vectors, ALL[GOOD], atol=1e-6)
    info = service.store.entry("staff").info
    assert (info.index_type, info.metric, info.model_id) == ("Flat", Metric.IP, MODEL)
    report = pq.read_table(tmp_path / "jobs" / "job.parquet")
    assert report["position"].to_pylist() == [3, 30]
    assert "40 rows: 38 accepted, 2 rejected, 0 skipped, 0 duplicates" in service.said


def test_a_job_is_of_its_gallerys_tenant(service: Service, table: Path, tmp_path: Path) -> None:
    job = service.run(table, key="acme/staff")
    assert (job.id, job.key, job.state) == ("acme/job", "acme/staff", JobState.DONE)
    assert service.run(table).id == "job"  # of the same id and nobody's: another job
    for tenant, key in (("acme", "acme/staff"), ("", "staff")):
        assert [entry.info.key for entry in service.store.galleries("", 9, tenant)] == [key]
        assert [job.key for job in service.jobs.jobs(9, tenant)] == [key]
    assert (tmp_path / "jobs" / "acme" / "job.parquet").is_file()


def test_a_job_over_its_tenants_quota_publishes_nothing(service: Service, table: Path) -> None:
    asked = request(input=str(table), model_id=MODEL, key="acme/staff")
    facts = (asked.key, asked.mode, asked.text(), asked.digest())
    service.jobs.submit("acme/job", *facts, Caller("acme", "1b6a380c2cc8"))
    AccessStore(service.store).set_tenant_quota("acme", Quota(faces=37))  # since then
    job = run_job("acme/job", service.args, {}, allowed=None, say=service.say)
    assert job.state is JobState.FAILED
    assert "quota of faces: 0 of 37 are used, 38 more" in job.message
    assert service.store.galleries("", 9) == []


@pytest.mark.usefixtures("tens")
def test_it_is_done_once(service: Service, table: Path) -> None:
    service.run(table)
    before = service.store.entry("staff").info
    said = list(service.said)
    assert service.run(table).state is JobState.DONE
    assert service.store.entry("staff").info == before
    assert service.said == said
    assert [line.partition(",")[0] for line in said[:4]] == [
        f"{done} of 40 rows" for done in (10, 20, 30, 40)
    ]


@pytest.mark.usefixtures("tens")
def test_it_goes_on_where_it_was(service: Service, table: Path) -> None:
    service.breaks_at = 20
    with pytest.raises(UnavailableError, match="power"):
        service.run(table)
    job = service.jobs.job("job")
    assert (job.state, job.done) == (JobState.RUNNING, 20)
    assert service.store.describe(["staff"]) == {}, "half a gallery is served"
    service.said.clear()
    assert service.run(table).accepted == 38
    assert service.said[:2] == ["going on at row 20 of 40", service.said[1]]
    assert service.said[1].startswith("30 of 40 rows")
    np.testing.assert_allclose(service.templates()[2], ALL[GOOD], atol=1e-6)


@pytest.mark.usefixtures("tens")
def test_limits_and_the_report_are_those_of_the_last_run(
    service: Service, table: Path, tmp_path: Path
) -> None:
    service.breaks_at = 20
    with pytest.raises(UnavailableError):
        service.run(table, max_rejected="1", report="nowhere://x")
    service.breaks_at = None
    mine = tmp_path / "mine.parquet"
    assert service.run(table, max_rejected="2", report=str(mine)).state is JobState.DONE
    assert pq.read_table(mine).num_rows == 2


@pytest.mark.usefixtures("tens")
def test_an_input_that_changed_meanwhile(service: Service, table: Path) -> None:
    service.breaks_at = 20
    with pytest.raises(UnavailableError):
        service.run(table)
    written(table, 41)
    with pytest.raises(JobConflictError, match="the input of job job changed"):
        service.run(table)


@pytest.mark.usefixtures("tens")
@pytest.mark.parametrize("away", ["people.parquet", "pipeline.yaml"])
def test_what_is_away_for_a_moment_costs_nothing(
    away: str, service: Service, table: Path, tmp_path: Path
) -> None:
    pipeline = tmp_path / "pipeline.yaml"
    shutil.copy("configs/pipeline/tutorial.yaml", pipeline)
    service.breaks_at = 20
    with pytest.raises(UnavailableError):
        service.run(table, pipeline=str(pipeline))
    service.breaks_at = None
    file = tmp_path / away
    hidden = file.rename(tmp_path / "hidden")
    with pytest.raises(UnavailableError, match=away):
        service.run(table, pipeline=str(pipeline))
    assert (service.jobs.job("job").state, service.jobs.job("job").done) == (JobState.RUNNING, 20)
    hidden.rename(file)
    assert service.run(table, pipeline=str(pipeline)).accepted == 38


@pytest.mark.usefixtures("tens")
def test_a_run_that_was_given_up_for_dead_ends_nothing(service: Service, table: Path) -> None:
    def stall_and_fail() -> None:
        holder = service.holder("job")
        service.jobs.let_go("job", holder)
        service.jobs.take("job", "another", 60)
        raise InvalidRequestError("the input is gone")

    service.breaks_at, service.then = 20, stall_and_fail
    with pytest.raises(JobLostError, match="another process"):
        service.run(table)
    job = service.jobs.job("job")
    assert (job.state, job.done) == (JobState.RUNNING, 20)
    assert service.jobs.staged(job).size == 19


@pytest.mark.usefixtures("tens")
def test_a_job_that_is_cancelled_meanwhile_is_over(service: Service, table: Path) -> None:
    service.breaks_at = 20
    service.then = lambda: service.cancel("job")
    job = service.run(table)
    assert (job.state, job.message) == (JobState.CANCELLED, "cancelled")


def test_a_database_that_is_away_or_can_not_be(tmp_path: Path) -> None:
    for url, error, message in (
        ("postgresql://ann:secret@127.0.0.1:1/galleries", UnavailableError, "can't be reached"),
        ("mysql://127.0.0.1/galleries", ConfigError, "only SQLite and PostgreSQL"),
    ):
        service = ServiceArgs(data_dir=tmp_path, database_url=url)
        with pytest.raises(error, match=message):
            run_job("job", service, {}, allowed=None, say=print)
        with pytest.raises(error, match=message):
            submitted_job("job", request(), service, {}, say=print)


def test_another_job_of_this_id(service: Service, table: Path) -> None:
    service.run(table)
    with pytest.raises(OperationReusedError):
        service.run(table, mode="append")


def test_replaced(service: Service, table: Path) -> None:
    build(service.store, "staff", 3)
    before = service.store.entry("staff").info
    assert service.run(table, mode="replace").state is JobState.DONE
    info = service.store.entry("staff").info
    assert (info.size, info.generation == before.generation) == (38, False)


def test_appended(service: Service, table: Path) -> None:
    build(service.store, "staff", 3)
    assert service.run(table, mode="append").state is JobState.DONE
    ids, labels, _ = service.templates()
    assert (ids, labels[2:4]) == (list(range(41)), ["2", "person 0"])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, "gallery staff exists already"),
        ({"mode": "append", "model_id": "other@1"}, "other@1"),
        ({"mode": "append", "key": "nobody"}, "gallery nobody does not exist"),
        ({"mode": "replace", "index_type": "Flatt"}, "Flatt"),
        ({"mode": "replace", "model_id": None}, "model"),
        ({"mode": "replace", "fail_fast": True}, r"2 of 40 rows were rejected, 0 may be: row 3 "),
        ({"mode": "replace", "max_rejected": "2.5%"}, "2 of 40 rows were rejected, 1 may be"),
        ({"mode": "replace", "input": "{}/nowhere.parquet"}, "nowhere.parquet"),
        ({"mode": "replace", "pipeline": "{}/nowhere.yaml"}, "nowhere.yaml can't be read"),
    ],
)
def test_what_can_not_work_changes_nothing(
    facts: dict[str, Any], message: str, service: Service, table: Path, tmp_path: Path
) -> None:
    build(service.store, "staff", 3)
    before = service.store.entry("staff").info
    given = {
        name: value.format(tmp_path) if isinstance(value, str) else value
        for name, value in facts.items()
    }
    job = service.run(table, **given)
    assert job.state is JobState.FAILED
    assert message in job.message
    assert "\n" not in job.message
    assert str(tmp_path) not in job.message, "whoever may see the job sees it"
    assert job.generation is None
    assert service.store.entry("staff").info == before
    assert [entry.info.key for entry in service.store.galleries("", 10)] == ["staff"]
    assert service.run(table, **given).message == job.message, "a job that failed is over"


def test_nothing_could_be_enrolled(service: Service, tmp_path: Path) -> None:
    table = written(tmp_path / "blank.parquet", 2, zeros=(0, 1))
    job = service.run(table)
    assert job.state is JobState.FAILED
    assert job.message.startswith("none of 2 rows could be enrolled: ")
    assert service.store.describe(["staff"]) == {}


def test_the_usual_type_of_an_index(
    service: Service, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_gallery, "EXACT_ROWS", 39)
    for number, (facts, expected) in enumerate(
        [
            ({}, "HNSW32"),
            ({"mode": "replace", "index_type": "IVF"}, "IVF"),
            ({"mode": "replace"}, "IVF"),
            ({"mode": "append"}, "IVF"),
        ]
    ):
        job = service.run(table, job_id=str(number), **facts)
        assert job.state is JobState.DONE, job.message
        assert service.store.entry("staff").info.index_type == expected


def test_a_gallery_that_is_replaced_keeps_its_metric(service: Service, table: Path) -> None:
    for number, (facts, expected) in enumerate(
        [
            ({"metric": "L2"}, Metric.L2),
            ({"mode": "replace"}, Metric.L2),
            ({"mode": "replace", "metric": "IP"}, Metric.IP),
        ]
    ):
        job = service.run(table, job_id=str(number), **facts)
        assert job.state is JobState.DONE, job.message
        assert service.store.entry("staff").info.metric is expected


@pytest.mark.usefixtures("tens")
def test_a_job_goes_on_with_the_type_that_it_began_with(service: Service, table: Path) -> None:
    service.run(table, job_id="first", index_type="IVF", metric="L2")
    service.breaks_at = 20
    with pytest.raises(UnavailableError):
        service.run(table, mode="replace")
    service.breaks_at = None
    service.run(table, job_id="meanwhile", mode="replace", index_type="Flat", metric="IP")
    assert service.run(table, mode="replace").state is JobState.DONE
    info = service.store.entry("staff").info
    assert (info.index_type, info.metric) == ("IVF", Metric.L2)


def test_a_job_that_failed_has_a_report(service: Service, table: Path, tmp_path: Path) -> None:
    job = service.run(table, max_rejected="1")
    assert job.state is JobState.FAILED
    report = pq.read_table(tmp_path / "jobs" / "job.parquet")
    assert report["position"].to_pylist() == [3, 30]
    assert "40 rows: 38 accepted, 2 rejected, 0 skipped, 0 duplicates" in service.said


def test_where_its_report_can_not_be_written_a_job_fails_all_the_same(
    service: Service, table: Path
) -> None:
    job = service.run(table, max_rejected="1", report="nowhere://x")
    assert (job.state, job.message[:25]) == (JobState.FAILED, "2 of 40 rows were rejecte")
    assert "the report can't be written: ValueError" in service.said


def test_a_job_that_settled_nothing_has_no_report(service: Service, tmp_path: Path) -> None:
    assert service.run(tmp_path / "nowhere.parquet").state is JobState.FAILED
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize("mode", ["create", "append"])
def test_close_faces_are_reported(mode: str, service: Service, tmp_path: Path) -> None:
    if mode == "append":
        service.run(written(tmp_path / "old.parquet", 10), job_id="old")
    table = tmp_path / "people.parquet"
    flat = pa.array(np.concatenate([ALL[:1], ALL[:1], ALL[5:6]]).reshape(-1))
    embedding = pa.FixedSizeListArray.from_arrays(flat, ALL.shape[1])
    pq.write_table(pa.table({"label": ["Ann", "Bo", "Cy"], "embedding": embedding}), table)
    job = service.run(table, mode=mode, same_face=0.999)
    assert job.state is JobState.DONE, job.message
    pairs = pq.read_table(tmp_path / "jobs" / "job.same-faces.parquet").to_pylist()
    found = {(pair["label"], pair["other_label"], pair["other_in"]) for pair in pairs}
    expected = {("Ann", "Bo", "job")}
    if mode == "append":
        expected |= {
            ("Ann", "person 0", "gallery"),
            ("Bo", "person 0", "gallery"),
            ("Cy", "person 5", "gallery"),
        }
    assert found == expected
    assert f"{len(expected)} pairs of close faces under different labels" in service.said


def test_only_what_is_allowed_is_read(service: Service, table: Path, tmp_path: Path) -> None:
    asked = request(input=str(table), model_id=MODEL)
    for job_id, allowed, state in (
        ("out", (str(tmp_path / "photos"),), JobState.FAILED),
        ("none", (), JobState.FAILED),
        ("in", (str(tmp_path),), JobState.DONE),
    ):
        submitted(service.jobs, asked, job_id)
        job = run_job(job_id, service.args, {}, allowed=allowed, say=service.say)
        assert job.state is state, job.message
        assert state is JobState.DONE or "jobs.inputs" in job.message


def test_a_job_that_another_runs_or_nobody_knows(service: Service) -> None:
    begun(service.jobs)
    with pytest.raises(JobConflictError):
        run_job("job", service.args, {}, allowed=None, say=service.say)
    with pytest.raises(JobNotFoundError):
        run_job("nobody", service.args, {}, allowed=None, say=service.say)


def test_progress(service: Service) -> None:
    job = replace(begun(service.jobs, total=1000), done=100, rejected=2, rate=50.0)
    assert progress(job) == "100 of 1000 rows, 50/s, 2 rejected, 18 s left"
    assert progress(replace(job, rate=0.0)) == "100 of 1000 rows, 0/s, 2 rejected"
