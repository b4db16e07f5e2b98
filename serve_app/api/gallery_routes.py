"""The routes of the gallery operations: what they are asked is all in the address.

Owns the addresses below ``/v1``; must not know what is done there.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from serve_app.access import Scope
from serve_app.api import gallery_schemas as schemas
from serve_app.api.address import path_of, query_of
from serve_app.api.documentation import documented_address
from serve_app.api.exchange import Exchange
from serve_app.api.galleries import GalleryOperations
from serve_app.api.idempotency import operation_of

GALLERIES = "/v1/galleries"
GALLERY = GALLERIES + "/{key}"


def add_gallery_routes(app: FastAPI, operations: GalleryOperations, exchange: Exchange) -> None:
    @app.get(
        GALLERIES,
        **documented_address(schemas.GalleryList, Scope.READ, query=schemas.GalleriesQuery),
    )
    async def list_galleries(request: Request) -> Response:
        """A page of galleries, by key."""

        async def work() -> schemas.GalleryList:
            return await operations.galleries(query_of(schemas.GalleriesQuery, request))

        return await exchange.answer_address(request, work)

    @app.get(
        GALLERY, **documented_address(schemas.GalleryDetail, Scope.READ, path=schemas.GalleryPath)
    )
    async def show_gallery(request: Request) -> Response:
        """What is known of a gallery."""

        async def work() -> schemas.GalleryDetail:
            return await operations.gallery(path_of(schemas.GalleryPath, request))

        return await exchange.answer_address(request, work)

    @app.delete(
        GALLERY,
        **documented_address(schemas.Count, Scope.ADMIN, path=schemas.GalleryPath, change=True),
    )
    async def drop_gallery(request: Request) -> Response:
        """Remove a gallery with all that is in it."""

        async def work() -> schemas.Count:
            path = path_of(schemas.GalleryPath, request)
            return await operations.drop(path, await operation_of(request, path.key))

        return await exchange.answer_address(request, work)

    @app.get(
        GALLERY + "/templates",
        **documented_address(
            schemas.TemplateList, Scope.READ, path=schemas.GalleryPath, query=schemas.TemplatesQuery
        ),
    )
    async def list_templates(request: Request) -> Response:
        """A page of a gallery's templates, by id."""

        async def work() -> schemas.TemplateList:
            path = path_of(schemas.GalleryPath, request)
            return await operations.templates(path, query_of(schemas.TemplatesQuery, request))

        return await exchange.answer_address(request, work)

    @app.delete(
        GALLERY + "/labels/{label:path}",
        **documented_address(schemas.Removal, Scope.ENROL, path=schemas.LabelPath, change=True),
    )
    async def remove_label(request: Request) -> Response:
        """Remove every template of a label. A label that nobody has is no error."""

        async def work() -> schemas.Removal:
            path = path_of(schemas.LabelPath, request)
            # The label is no part of the route: one key for two labels is a mistake to be told.
            operation = await operation_of(request, path.key, detail=path.label)
            return await operations.remove_label(path, operation)

        return await exchange.answer_address(request, work)

    @app.post(
        GALLERY + "/optimize",
        status_code=202,
        **documented_address(schemas.Count, Scope.ENROL, path=schemas.GalleryPath, change=True),
    )
    async def optimize_gallery(request: Request) -> Response:
        """Ask for an index built of all that is in the gallery now. It comes in the background."""

        async def work() -> schemas.Count:
            path = path_of(schemas.GalleryPath, request)
            return await operations.optimize(path, await operation_of(request, path.key))

        return await exchange.answer_address(request, work, status=202)
