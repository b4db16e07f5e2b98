"""Bulk jobs that are asked for over the network: which ones are begun, and what is told of them.

Owns what a request may name: an id, a gallery, and an input below the places that the Serve file
allows, as far as that can be seen without looking; whoever reads it looks again. Must not know
HTTP, Ray or the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app import policy
from serve_app.config import JobRequest
from serve_app.errors import InvalidRequestError
from serve_app.locations import is_below
from serve_app.ports import Jobs
from serve_app.service.galleries import DEFAULT_PAGE, check_limit
from serve_app.types import Job, JobMode, JobRejection

NO_INPUTS = (
    "this service takes no bulk jobs: set jobs.inputs in the Serve file to the paths, buckets and "
    "hosts that they may read"
)
OUTSIDE = "lies outside of what bulk jobs may read: that is listed in the Serve file (jobs.inputs)"


@dataclass(frozen=True, slots=True)
class RejectionPage:
    """Rejected rows by position. ``next``: after which position the next page starts, None after
    the last one."""

    rejections: Sequence[JobRejection]
    next: int | None = None


class JobService:
    """``inputs``: prefixes of what may be read, as ``JobsConfig`` has them. Every method but
    ``list`` raises InvalidRequestError for a bad id, all but ``submit`` JobNotFoundError."""

    def __init__(self, jobs: Jobs, inputs: Sequence[str]) -> None:
        self._jobs = jobs
        self._inputs = inputs

    async def submit(self, job_id: str, request: JobRequest) -> Job:
        """Begin a job, or go on with the one of this id if the same was asked. Touches nothing that
        the request names: the answer is the same whether or not it is there.

        Raises InvalidRequestError, OperationReusedError.
        """
        policy.check_job_id(job_id)
        policy.check_key(request.key)
        if request.report is not None or request.pipeline is not None:
            raise InvalidRequestError("report and pipeline are the server's own files")
        if request.mode is JobMode.APPEND and request.index_type is not None:
            raise InvalidRequestError("indexType: a gallery that is appended to keeps its own")
        if not self._inputs:
            raise InvalidRequestError(NO_INPUTS)
        for field, place in (("input", request.input), ("root", request.root)):
            if place is not None and not is_below(self._inputs, place):
                raise InvalidRequestError(f"{field} {OUTSIDE}")
        return await self._jobs.submit(job_id, request)

    async def job(self, job_id: str) -> Job:
        policy.check_job_id(job_id)
        return await self._jobs.job(job_id)

    async def list(self, limit: int = DEFAULT_PAGE) -> Sequence[Job]:
        """The newest ``limit``, newest first."""
        check_limit(limit)
        return await self._jobs.jobs(limit)

    async def rejections(
        self, job_id: str, after: int = -1, limit: int = DEFAULT_PAGE
    ) -> RejectionPage:
        """Up to ``limit`` rejected rows with positions above ``after``."""
        policy.check_job_id(job_id)
        check_limit(limit)
        # One more than asked for: whether there is a next page.
        found = await self._jobs.rejections(job_id, after, limit + 1)
        more = len(found) > limit
        return RejectionPage(found[:limit], found[limit - 1].position if more else None)

    async def remove(self, job_id: str) -> Job:
        """Cancel a job; of one that is over, remove what is known of it. As it is after that, or
        was before."""
        policy.check_job_id(job_id)
        job = await self._jobs.job(job_id)
        if not job.state.is_final:
            return await self._jobs.cancel(job_id)
        await self._jobs.forget(job_id)
        return job
