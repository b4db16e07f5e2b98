"""The routes of people's data and of the audit log.

Owns their addresses below ``/v1``; must not know what is done there.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from serve_app.access import Scope
from serve_app.api import record_schemas as schemas
from serve_app.api.address import path_of, query_of
from serve_app.api.documentation import documented_address
from serve_app.api.exchange import Exchange
from serve_app.api.records import RecordOperations

PERSON = "/v1/people/{label:path}"
AUDIT = "/v1/audit"


def add_record_routes(app: FastAPI, operations: RecordOperations, exchange: Exchange) -> None:
    @app.get(
        PERSON,
        **documented_address(
            schemas.PersonDetail, Scope.ADMIN, path=schemas.PersonPath, query=schemas.PersonQuery
        ),
    )
    async def export_person(request: Request) -> Response:
        """A page of everything that is held about a label, in every gallery and bulk job. The audit
        log tells of it. Backups and snapshots that may still hold what was removed are not
        listed: docs/erasure.md says which, and for how long."""

        async def work() -> schemas.PersonDetail:
            path = path_of(schemas.PersonPath, request)
            return await operations.held(path, query_of(schemas.PersonQuery, request))

        return await exchange.answer_address(request, work)

    @app.delete(
        PERSON, **documented_address(schemas.ErasedPerson, Scope.ADMIN, path=schemas.PersonPath)
    )
    async def erase_person(request: Request) -> Response:
        """Erase a label everywhere: in every gallery, also one that is kept for a rollback or made
        by a job, and in what is kept of jobs' inputs. Where it can't be done everywhere, it is 503
        and says where it was done; sent again, the rest is. A label that nobody has is no error."""

        async def work() -> schemas.ErasedPerson:
            return await operations.erase(path_of(schemas.PersonPath, request))

        return await exchange.answer_address(request, work)

    @app.get(
        AUDIT, **documented_address(schemas.AuditList, Scope.ADMIN, query=schemas.AuditParameters)
    )
    async def list_audit(request: Request) -> Response:
        """A page of the audit log: who did what to which gallery and templates, by time."""

        async def work() -> schemas.AuditList:
            return await operations.audit(query_of(schemas.AuditParameters, request))

        return await exchange.answer_address(request, work)
