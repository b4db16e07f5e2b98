"""The part of the index stage's host that keeps bulk jobs and starts what runs them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from serve_app.config import JobRequest
from serve_app.deployments.replica import run_in
from serve_app.errors import FaceServeError
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.types import Caller, Job, JobRejection, JobState

JOB_WRITERS = 1


class Hosts(Protocol):
    """What runs bulk jobs: see ``JobHosts``."""

    def start(self, job_id: str) -> None: ...

    def end(self, job_id: str) -> None: ...


class IndexJobs:
    """What ``Index`` is besides; ``_readers`` are its own."""

    _readers: ThreadPoolExecutor

    def _open_jobs(self, store: GalleryStore, hosts: Hosts) -> None:
        self._jobs = JobStore(store)
        self._hosts = hosts
        # Apart from readers and writers: starting a host asks Ray.
        self._job_writers = ThreadPoolExecutor(JOB_WRITERS, thread_name_prefix="job-write")

    async def submit_job(
        self, job_id: str, request: JobRequest, caller: Caller
    ) -> Job | FaceServeError:
        """Once, however often it is sent; a job that is not over gets a host if it has none."""

        def work() -> Job:
            job = self._jobs.submit(
                job_id, request.key, request.mode, request.text(), request.digest(), caller
            )
            if not job.state.is_final:
                self._hosts.start(job_id)
            return job

        return await run_in(self._job_writers, work)

    async def job(self, job_id: str) -> Job | FaceServeError:
        return await run_in(self._readers, lambda: self._jobs.job(job_id))

    async def jobs(self, limit: int, tenant: str | None) -> list[Job] | FaceServeError:
        return await run_in(self._readers, lambda: self._jobs.jobs(limit, tenant))

    async def rejections(
        self, job_id: str, after: int, limit: int
    ) -> list[JobRejection] | FaceServeError:
        def work() -> list[JobRejection]:
            self._jobs.job(job_id)  # one that is not there has no empty page
            return self._jobs.rejections(job_id, after, limit)

        return await run_in(self._readers, work)

    async def end_job(self, job_id: str) -> Job | FaceServeError:
        """First in the store: whatever runs it can write nothing more from then on."""

        def work() -> Job:
            job = self._jobs.end(job_id, JobState.CANCELLED, "cancelled")
            self._hosts.end(job_id)
            return job

        return await run_in(self._job_writers, work)

    async def forget_job(self, job_id: str) -> FaceServeError | None:
        """With its host, which may still be about to end: a new job of that id gets its own."""

        def work() -> None:
            self._jobs.forget(job_id)
            self._hosts.end(job_id)

        return await run_in(self._job_writers, work)
