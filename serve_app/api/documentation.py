"""What ``/openapi.json`` and ``/docs`` say of the routes.

Routes parse their bodies from the raw bytes, so FastAPI can't see the schemas: they are declared
here. Swagger UI comes from an installed package, so closed networks see it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve_app.api import schemas

DESCRIPTION = """Build galleries of faces, add and remove, and recognise who is in a picture.

Every reply is an envelope: `logId`, `errorCode` (0, or the HTTP status), `errorMsg`, and `result`
where the request succeeded."""

FAILURES = {
    404: "No such gallery",
    408: "The body did not arrive in time",
    409: "The gallery exists already, or holds embeddings of another model",
    413: "A body, an image or a list is over its limit",
    422: "An invalid field, an image that can't be decoded, or pairs that can't be enrolled",
    429: "Over capacity: try again after Retry-After seconds",
    500: "Unexpected failure",
    503: "A stage is unavailable",
    504: "Not done within the deadline",
}

_REFERENCE = "#/components/schemas/{model}"


def documented(request: type[BaseModel], result: type[BaseModel]) -> dict[str, Any]:
    """Arguments of a route that takes a body of ``request`` and answers ``result``."""
    reference = {"$ref": _REFERENCE.format(model=request.__name__)}
    return {
        "response_model": schemas.Success[result],  # type: ignore[valid-type]
        "responses": {
            status: {"model": schemas.Failure, "description": text}
            for status, text in FAILURES.items()
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": reference}},
            }
        },
    }


def add_body_schemas(app: FastAPI, requests: Sequence[type[BaseModel]]) -> None:
    """Put what ``documented`` refers to into the document of ``app``."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, requests)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to extend it


def _document(app: FastAPI, requests: Sequence[type[BaseModel]]) -> dict[str, Any]:
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, definitions = models_json_schema(
        [(request, "validation") for request in requests], ref_template=_REFERENCE
    )
    document["components"]["schemas"] |= definitions["$defs"]
    return document
