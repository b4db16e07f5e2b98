"""The operations on bulk jobs: a request's words to a call of the service, its answer to a reply.

Knows the service and the schemas; must not know FastAPI, envelopes or status codes.
"""

from __future__ import annotations

from uuid import uuid4

from serve_app.api import job_schemas as schemas
from serve_app.api.iso_times import iso_time
from serve_app.config import JobRequest
from serve_app.errors import JobConflictError, OperationReusedError
from serve_app.service import JobService
from serve_app.types import Job, Operation

BEFORE_THE_FIRST = -1
ID_LENGTH = 32


class JobOperations:
    def __init__(self, service: JobService) -> None:
        self._service = service

    async def submit(self, body: schemas.JobBody, operation: Operation | None) -> schemas.JobFacts:
        """``operation``: what an idempotency key makes of the request; its job is the same when it
        is sent again. Raises JobConflictError for an id that names another job."""
        named = uuid4().hex if operation is None else operation.id[:ID_LENGTH]
        job_id = body.job_id or named
        try:
            return _facts(await self._service.submit(job_id, _request(body)))
        except OperationReusedError:
            if body.job_id is None:
                told = "this Idempotency-Key was used for another request"
                raise OperationReusedError(told) from None
            raise JobConflictError(
                f"job {job_id} was begun with other arguments: give the same ones, or another jobId"
            ) from None

    async def jobs(self, query: schemas.JobsQuery) -> schemas.JobList:
        return schemas.JobList(jobs=[_facts(job) for job in await self._service.list(query.limit)])

    async def job(self, path: schemas.JobPath) -> schemas.JobFacts:
        return _facts(await self._service.job(path.job_id))

    async def rejected(
        self, path: schemas.JobPath, query: schemas.RejectedQuery
    ) -> schemas.RejectedList:
        after = BEFORE_THE_FIRST if query.after is None else query.after
        page = await self._service.rejections(path.job_id, after, query.limit)
        rows = [
            schemas.RejectedRow(
                position=row.position, source=row.source, label=row.label, reason=row.reason
            )
            for row in page.rejections
        ]
        return schemas.RejectedList(rejected=rows, next=page.next)

    async def remove(self, path: schemas.JobPath) -> schemas.JobFacts:
        return _facts(await self._service.remove(path.job_id))


def _request(body: schemas.JobBody) -> JobRequest:
    return JobRequest(
        key=body.key,
        input=body.input,
        mode=body.mode,
        kind=body.kind,
        root=body.root,
        model_id=body.model_id,
        index_type=body.index_type,
        metric=body.metric_type,
        max_rejected=body.max_rejected,
        fail_fast=body.fail_fast,
        duplicates=body.duplicates,
        same_face=body.same_face,
        keep_sources=body.keep_sources,
    )


def _facts(job: Job) -> schemas.JobFacts:
    counts = schemas.JobCounts(
        total=job.total,
        done=job.done,
        accepted=job.accepted,
        rejected=job.rejected,
        duplicates=job.duplicates,
    )
    left_s = job.left_s
    return schemas.JobFacts(
        job_id=job.id,
        key=job.key,
        mode=job.mode,
        state=job.state,
        message=job.message,
        counts=counts,
        rate=round(job.rate, 1),
        time_left=None if left_s is None else round(left_s, 1),
        created_at=iso_time(job.created_at),
        changed_at=iso_time(job.changed_at),
    )
