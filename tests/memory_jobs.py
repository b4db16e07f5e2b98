"""The fake of the port Jobs: what was asked is kept, and runs as the test says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from serve_app.config import JobRequest
from serve_app.errors import JobNotFoundError, OperationReusedError, UnavailableError
from serve_app.tenancy import tenant_of
from serve_app.types import Job, JobRejection, JobState

BEGUN_AT = 1_700_000_000.0
"""Seconds since the epoch, of the first job; each is a second later than the one before."""


class MemoryJobs:
    """``requests``: of each job by its id. ``begun``: ids of the calls of ``submit``. ``down``: the
    store does not answer."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._rejections: dict[str, list[JobRejection]] = {}
        self._moments = itertools.count(BEGUN_AT)
        self.requests: dict[str, JobRequest] = {}
        self.begun: list[str] = []
        self.down = False

    def settle(self, job_id: str, *rejections: JobRejection, **facts: Any) -> None:
        """What becomes of a job."""
        self._jobs[job_id] = replace(self._jobs[job_id], **facts)
        self._rejections.setdefault(job_id, []).extend(rejections)

    async def submit(self, job_id: str, request: JobRequest) -> Job:
        self._reach()
        self.begun.append(job_id)
        if job_id not in self._jobs:
            now = next(self._moments)
            self.requests[job_id] = request
            self._jobs[job_id] = Job(
                job_id, request.key, request.mode, JobState.QUEUED, "", request.text(),
                None, 0, 0, 0, 0, None, 0.0, now, now,
            )  # fmt: skip
        elif self.requests[job_id].digest() != request.digest():
            raise OperationReusedError("begun with other arguments")
        return self._jobs[job_id]

    async def job(self, job_id: str) -> Job:
        self._reach()
        if job_id not in self._jobs:
            raise JobNotFoundError(f"job {job_id} does not exist")
        return self._jobs[job_id]

    async def jobs(self, limit: int, *, tenant: str | None = None) -> Sequence[Job]:
        self._reach()
        asked = [job for job in self._jobs.values() if tenant in (None, tenant_of(job.id))]
        newest = sorted(asked, key=lambda job: job.created_at, reverse=True)
        return newest[:limit]

    async def rejections(self, job_id: str, after: int, limit: int) -> Sequence[JobRejection]:
        await self.job(job_id)
        found = [row for row in self._rejections.get(job_id, []) if row.position > after]
        return found[:limit]

    async def cancel(self, job_id: str) -> Job:
        job = await self.job(job_id)
        if not job.state.is_final:
            self.settle(job_id, state=JobState.CANCELLED, message="cancelled")
        return self._jobs[job_id]

    async def forget(self, job_id: str) -> None:
        self._reach()
        self._jobs.pop(job_id, None)

    def _reach(self) -> None:
        if self.down:
            raise UnavailableError("the gallery store is unavailable; try again shortly")
