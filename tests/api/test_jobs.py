from __future__ import annotations

import pytest

from serve_app.api.job_schemas import JobBody, JobPath
from serve_app.api.jobs import JobOperations
from serve_app.config import JobRequest
from serve_app.errors import JobConflictError, OperationReusedError
from serve_app.service import JobService
from serve_app.types import JobMode, JobState, Metric, Operation
from tests.fakes import MemoryJobs

ALL = {
    "key": "staff",
    "input": "/photos/staff.csv",
    "mode": "replace",
    "kind": "table",
    "root": "/photos/b",
    "modelId": "m@1",
    "indexType": "HNSW32",
    "metricType": "L2",
    "maxRejected": "5%",
    "failFast": True,
    "duplicates": "skip",
    "sameFace": 0.6,
    "keepSources": True,
    "jobId": "one",
}


class Rig:
    def __init__(self) -> None:
        self.jobs = MemoryJobs()
        self.operations = JobOperations(JobService(self.jobs, ["/photos"]))


async def test_every_field_reaches_the_job() -> None:
    rig = Rig()
    await rig.operations.submit(JobBody.model_validate(ALL), None)
    assert rig.jobs.requests == {
        "one": JobRequest(
            key="staff",
            input="/photos/staff.csv",
            mode=JobMode.REPLACE,
            kind="table",
            root="/photos/b",
            model_id="m@1",
            index_type="HNSW32",
            metric=Metric.L2,
            max_rejected="5%",
            fail_fast=True,
            duplicates="skip",
            same_face=0.6,
            keep_sources=True,
        )
    }


async def test_ids_are_chosen_or_named_or_fresh() -> None:
    rig = Rig()
    least = JobBody.model_validate({"key": "staff", "input": "/photos"})
    named = Operation("f" * 64, "digest")
    first = await rig.operations.submit(least, named)
    assert (await rig.operations.submit(least, named)).job_id == first.job_id == "f" * 32
    assert (await rig.operations.submit(JobBody.model_validate(ALL), named)).job_id == "one"
    fresh = {(await rig.operations.submit(least, None)).job_id for _ in range(3)}
    assert len(fresh | {first.job_id}) == 4


async def test_the_name_of_another_job() -> None:
    rig = Rig()
    await rig.operations.submit(JobBody.model_validate(ALL), None)
    other = JobBody.model_validate({**ALL, "key": "other"})
    with pytest.raises(JobConflictError, match="another jobId"):
        await rig.operations.submit(other, None)
    named, least = Operation("f" * 64), {"key": "staff", "input": "/photos"}
    await rig.operations.submit(JobBody.model_validate(least), named)
    with pytest.raises(OperationReusedError, match="Idempotency-Key"):
        await rig.operations.submit(JobBody.model_validate({**least, "mode": "append"}), named)


async def test_what_is_told_of_a_job() -> None:
    rig = Rig()
    begun = await rig.operations.submit(JobBody.model_validate(ALL), None)
    assert (begun.counts.total, begun.time_left) == (None, None)
    facts = {"total": 100, "done": 40, "accepted": 30, "rejected": 10, "duplicates": 2}
    rig.jobs.settle("one", state=JobState.RUNNING, rate=8.04, **facts)
    told = await rig.operations.job(JobPath.model_validate({"id": "one"}))
    assert told.counts.model_dump() == facts
    assert (told.rate, told.time_left) == (8.0, 7.5)
