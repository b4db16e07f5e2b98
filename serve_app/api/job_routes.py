"""The routes of bulk jobs.

Owns the addresses below ``/v1/jobs``; must not know what is done there.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from serve_app.access import Scope
from serve_app.api import job_schemas as schemas
from serve_app.api.address import path_of, query_of
from serve_app.api.documentation import documented, documented_address
from serve_app.api.exchange import Exchange
from serve_app.api.idempotency import operation_of
from serve_app.api.jobs import JobOperations

JOBS = "/v1/jobs"
JOB = JOBS + "/{id}"


def add_job_routes(app: FastAPI, operations: JobOperations, exchange: Exchange) -> None:
    @app.post(
        JOBS,
        status_code=202,
        **documented(schemas.JobBody, schemas.JobFacts, Scope.ENROL, change=True),
    )
    async def begin_job(request: Request) -> Response:
        """Enrol a directory, a table or an object store in a gallery, which changes all at once
        when the job is done. Sent again with the same jobId, a job that broke off goes on."""

        async def work(body: schemas.JobBody) -> schemas.JobFacts:
            return await operations.submit(body, await operation_of(request, body.key))

        return await exchange.answer(request, schemas.JobBody, work, status=202)

    @app.get(JOBS, **documented_address(schemas.JobList, Scope.READ, query=schemas.JobsQuery))
    async def list_jobs(request: Request) -> Response:
        """The newest jobs, newest first."""

        async def work() -> schemas.JobList:
            return await operations.jobs(query_of(schemas.JobsQuery, request))

        return await exchange.answer_address(request, work)

    @app.get(JOB, **documented_address(schemas.JobFacts, Scope.READ, path=schemas.JobPath))
    async def show_job(request: Request) -> Response:
        """How far a job is, or how it ended."""

        async def work() -> schemas.JobFacts:
            return await operations.job(path_of(schemas.JobPath, request))

        return await exchange.answer_address(request, work)

    @app.delete(JOB, **documented_address(schemas.JobFacts, Scope.ENROL, path=schemas.JobPath))
    async def remove_job(request: Request) -> Response:
        """Cancel a job: nothing is left of what it staged. Of one that is over, remove what is
        known of it; its gallery stays."""

        async def work() -> schemas.JobFacts:
            return await operations.remove(path_of(schemas.JobPath, request))

        return await exchange.answer_address(request, work)

    @app.get(
        JOB + "/rejected",
        **documented_address(
            schemas.RejectedList, Scope.READ, path=schemas.JobPath, query=schemas.RejectedQuery
        ),
    )
    async def list_rejected(request: Request) -> Response:
        """A page of what a job did not enrol and why, by position in its input."""

        async def work() -> schemas.RejectedList:
            path = path_of(schemas.JobPath, request)
            return await operations.rejected(path, query_of(schemas.RejectedQuery, request))

        return await exchange.answer_address(request, work)
