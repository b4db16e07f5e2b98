"""The gallery operations: a request's words to a call of the service, its answer to a reply.

Knows the service and the schemas; must not know FastAPI, envelopes or status codes.
"""

from __future__ import annotations

from typing import Any

from serve_app.api import gallery_schemas as schemas
from serve_app.api.iso_times import iso_time
from serve_app.service import GalleryService
from serve_app.types import GalleryEntry, Operation

BEFORE_THE_FIRST_ID = -1


class GalleryOperations:
    def __init__(self, service: GalleryService) -> None:
        self._service = service

    async def galleries(self, query: schemas.GalleriesQuery) -> schemas.GalleryList:
        page = await self._service.list(query.after or "", query.limit)
        return schemas.GalleryList(
            galleries=[schemas.GallerySummary(**_facts(entry)) for entry in page.galleries],
            next=page.next,
        )

    async def gallery(self, path: schemas.GalleryPath) -> schemas.GalleryDetail:
        entry = await self._service.entry(path.key)
        return schemas.GalleryDetail(
            **_facts(entry),
            generation=entry.info.generation,
            seq=entry.info.seq,
            snapshot=entry.info.snapshot is not None,
        )

    async def templates(
        self, path: schemas.GalleryPath, query: schemas.TemplatesQuery
    ) -> schemas.TemplateList:
        after = BEFORE_THE_FIRST_ID if query.after is None else query.after
        page = await self._service.templates(path.key, query.label, after, query.limit)
        return schemas.TemplateList(
            templates=[schemas.Template(id=t.id, label=t.label) for t in page.templates],
            next=page.next,
        )

    async def drop(self, path: schemas.GalleryPath, operation: Operation | None) -> schemas.Count:
        receipt = await self._service.drop(path.key, operation=operation)
        return schemas.Count(image_count=receipt.count)

    async def remove_label(
        self, path: schemas.LabelPath, operation: Operation | None
    ) -> schemas.Removal:
        receipt = await self._service.remove_label(path.key, path.label, operation=operation)
        return schemas.Removal(ids=receipt.ids, image_count=receipt.count)

    async def optimize(
        self, path: schemas.GalleryPath, operation: Operation | None
    ) -> schemas.Count:
        receipt = await self._service.optimize(path.key, operation=operation)
        return schemas.Count(image_count=receipt.count)


def _facts(entry: GalleryEntry) -> dict[str, Any]:
    info = entry.info
    return {
        "index_key": info.key,
        "index_type": info.index_type,
        "metric_type": info.metric,
        "dimension": info.dimension,
        "model": info.model_id,
        "image_count": info.size,
        "created_at": iso_time(entry.created_at),
        "changed_at": iso_time(entry.changed_at),
    }
