from __future__ import annotations

from typing import Any

import pytest

from serve_app.config import JobRequest
from serve_app.errors import InvalidRequestError, JobNotFoundError, OperationReusedError
from serve_app.service import MAX_PAGE, JobService
from serve_app.types import JobMode, JobRejection, JobState
from tests.fakes import MemoryJobs

INPUTS = ("/photos", "s3://bucket/people")
REQUEST = JobRequest(key="staff", input="/photos/staff")


@pytest.fixture
def jobs() -> MemoryJobs:
    return MemoryJobs()


@pytest.fixture
def service(jobs: MemoryJobs) -> JobService:
    return JobService(jobs, INPUTS)


async def test_a_job_is_begun_and_told(service: JobService, jobs: MemoryJobs) -> None:
    job = await service.submit("one", REQUEST)
    assert (job.id, job.state) == ("one", JobState.QUEUED)
    assert await service.submit("one", REQUEST) == job
    assert await service.job("one") == job
    assert jobs.requests == {"one": REQUEST}
    with pytest.raises(OperationReusedError):
        await service.submit("one", REQUEST.model_copy(update={"key": "other"}))


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"input": "/photos-2/a"}, "input lies outside"),
        ({"input": "/photos/../etc"}, "input lies outside"),
        ({"input": "photos"}, "input lies outside"),
        ({"input": "s3://bucket/private"}, "input lies outside"),
        ({"input": "https://bucket/people"}, "input lies outside"),
        ({"root": "/etc"}, "root lies outside"),
        ({"root": "."}, "root lies outside"),
        ({"report": "/photos/report.parquet"}, "the server's own"),
        ({"pipeline": "/photos/pipeline.yaml"}, "the server's own"),
        ({"key": "../staff"}, "a gallery key has"),
        ({"mode": JobMode.APPEND, "index_type": "Flat"}, "keeps its own"),
    ],
)
async def test_what_is_begun_by_nobody(
    service: JobService, jobs: MemoryJobs, facts: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidRequestError, match=told) as caught:
        await service.submit("one", REQUEST.model_copy(update=facts))
    assert "photos" not in str(caught.value)
    assert jobs.begun == []


async def test_without_inputs_there_are_no_jobs(jobs: MemoryJobs) -> None:
    with pytest.raises(InvalidRequestError, match=r"set jobs\.inputs in the Serve file"):
        await JobService(jobs, ()).submit("one", REQUEST)
    assert jobs.begun == []


async def test_the_newest_come_first(service: JobService) -> None:
    for job_id in ("a", "b", "c"):
        await service.submit(job_id, REQUEST)
    assert [job.id for job in await service.list(2)] == ["c", "b"]


async def test_pages_of_rejected_rows(service: JobService, jobs: MemoryJobs) -> None:
    await service.submit("one", REQUEST)
    rows = [JobRejection(n, f"{n}.jpg", "x", "no face") for n in (0, 3, 7)]
    jobs.settle("one", *rows)
    first = await service.rejections("one", limit=2)
    assert (first.rejections, first.next) == (rows[:2], 3)
    last = await service.rejections("one", after=3, limit=2)
    assert (last.rejections, last.next) == (rows[2:], None)
    assert (await service.rejections("one", limit=3)).next is None


async def test_a_job_is_cancelled_and_then_forgotten(service: JobService) -> None:
    await service.submit("one", REQUEST)
    assert (await service.remove("one")).state is JobState.CANCELLED
    assert (await service.job("one")).state is JobState.CANCELLED
    assert (await service.remove("one")).state is JobState.CANCELLED
    with pytest.raises(JobNotFoundError):
        await service.remove("one")


async def test_one_that_is_done_stays_done_and_is_forgotten(
    service: JobService, jobs: MemoryJobs
) -> None:
    await service.submit("one", REQUEST)
    jobs.settle("one", state=JobState.DONE)
    assert (await service.remove("one")).state is JobState.DONE
    with pytest.raises(JobNotFoundError):
        await service.job("one")


@pytest.mark.parametrize("job_id", ["", "../a", "a/b", "a\0", "a" * 129, "-a", "ü"])
async def test_a_bad_id_reaches_nobody(service: JobService, jobs: MemoryJobs, job_id: str) -> None:
    for call in (
        service.submit(job_id, REQUEST),
        service.job(job_id),
        service.rejections(job_id),
        service.remove(job_id),
    ):
        with pytest.raises(InvalidRequestError, match="a job id has"):
            await call
    assert jobs.begun == []


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
async def test_pages_have_a_length(service: JobService, limit: int) -> None:
    for call in (service.list(limit), service.rejections("one", limit=limit)):
        with pytest.raises(InvalidRequestError, match="limit"):
            await call
