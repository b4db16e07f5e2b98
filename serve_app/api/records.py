"""People's data and the audit log: a request's words to a call of the service, and its answer to a
reply.

Knows the service and the schemas; must not know FastAPI, envelopes or status codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from serve_app.api import record_schemas as schemas
from serve_app.api.iso_times import iso_time
from serve_app.audit_rows import AuditPlace, AuditQuery, AuditRow
from serve_app.held import HeldPlace, HeldTemplate
from serve_app.service import RecordService


class RecordOperations:
    def __init__(self, service: RecordService) -> None:
        self._service = service

    async def held(
        self, path: schemas.PersonPath, query: schemas.PersonQuery
    ) -> schemas.PersonDetail:
        after = None if query.after is None else HeldPlace.parse(query.after)
        page = await self._service.held(path.label, after, query.limit, embeddings=query.embeddings)
        rows = [
            schemas.PersonRow(
                job_id=row.job,
                index_key=row.key,
                position=row.position,
                outcome=row.outcome,
                reason=row.reason,
                source=row.source,
            )
            for row in page.rows
        ]
        return schemas.PersonDetail(
            galleries=_galleries(page.templates),
            rows=rows,
            next=None if page.next is None else str(page.next),
        )

    async def erase(self, path: schemas.PersonPath) -> schemas.ErasedPerson:
        done = await self._service.erase(path.label)
        return schemas.ErasedPerson(
            erased=[
                schemas.ErasedPlace(
                    index_key=one.key, where=one.where, job_id=one.job or None, count=one.count
                )
                for one in done.erased
            ],
            running_jobs=done.running,
        )

    async def audit(self, query: schemas.AuditParameters) -> schemas.AuditList:
        page = await self._service.audit(
            AuditQuery(
                chain=query.index_key,
                since=_seconds(query.since),
                until=_seconds(query.until),
                after=None if query.after is None else AuditPlace.parse(query.after),
                limit=query.limit,
            )
        )
        return schemas.AuditList(
            rows=[_entry(row) for row in page.rows],
            next=None if page.next is None else str(page.next),
        )


def _galleries(templates: Sequence[HeldTemplate]) -> list[schemas.PersonGallery]:
    galleries = []
    for (key, where, job, generation, model), held in groupby(
        templates, lambda one: (one.key, one.where, one.job, one.generation, one.model_id)
    ):
        galleries.append(
            schemas.PersonGallery(
                index_key=key,
                where=where,
                job_id=job or None,
                generation=generation,
                model=model,
                templates=[_template(one) for one in held],
            )
        )
    return galleries


def _template(held: HeldTemplate) -> schemas.PersonTemplate:
    return schemas.PersonTemplate(
        id=held.id,
        added_at=None if held.added_at is None else iso_time(held.added_at),
        source=held.source,
        embedding=held.embedding,
    )


def _entry(row: AuditRow) -> schemas.AuditEntry:
    return schemas.AuditEntry(
        index_key=row.chain,
        number=row.number,
        at=iso_time(row.at),
        actor=row.actor,
        address=row.address,
        action=row.action,
        result=row.result,
        generation=row.generation,
        seq=row.seq,
        ids=row.ids,
        count=row.count,
        operation=row.operation,
        digest=row.digest.hex(),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
