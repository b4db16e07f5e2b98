"""The port Jobs over Ray handles: the Index deployment keeps jobs and starts their hosts."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.config import JobRequest
from serve_app.deployments.store_caller import StoreCaller
from serve_app.request_context import current_request
from serve_app.types import Job, JobRejection

BEGUN = "the job may have begun all the same: send the same again, or look at it first"


class RayJobs:
    """Whatever was sent to a replica that died is sent again: each call may be made twice."""

    def __init__(self, store: StoreCaller) -> None:
        self._store = store

    async def submit(self, job_id: str, request: JobRequest) -> Job:
        job: Job = await self._store.ask(
            "submit_job", job_id, request, current_request().caller, advice=BEGUN
        )
        return job

    async def job(self, job_id: str) -> Job:
        job: Job = await self._store.ask("job", job_id)
        return job

    async def jobs(self, limit: int, *, tenant: str | None = None) -> Sequence[Job]:
        jobs: Sequence[Job] = await self._store.ask("jobs", limit, tenant)
        return jobs

    async def rejections(self, job_id: str, after: int, limit: int) -> Sequence[JobRejection]:
        rows: Sequence[JobRejection] = await self._store.ask("rejections", job_id, after, limit)
        return rows

    async def cancel(self, job_id: str) -> Job:
        job: Job = await self._store.ask("end_job", job_id)
        return job

    async def forget(self, job_id: str) -> None:
        await self._store.ask("forget_job", job_id)
