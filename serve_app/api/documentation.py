"""What ``/openapi.json`` and ``/docs`` say of the routes.

Routes parse their bodies and addresses themselves, so FastAPI can't see the schemas: they are
declared here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve_app.access import Scope
from serve_app.api import schemas
from serve_app.api.forms import description, msgpack_form
from serve_app.api.idempotency import HEADER, MAX_LENGTH
from serve_app.api.probes import PROBES
from serve_app.api.replies import JSON
from serve_app.api.route_scopes import SCHEME, needs

DESCRIPTION = """Build galleries of faces, add and remove, and recognise who is in a picture.

Every reply is an envelope: `logId`, `errorCode` (0, or the HTTP status), `errorMsg`, and `result`
where the request succeeded.

An operation that takes images takes them as JSON, as `multipart/form-data` and as
`application/msgpack`; one that takes a single image also as the bare file:

    curl -H 'Content-Type: image/jpeg' --data-binary @friends.jpg \\
        'http://HOST/face-recognition-infer?indexKey=house&visualize=false'
    curl -F image=@friends.jpg -F indexKey=house http://HOST/face-recognition-infer
    curl -F image=@a.jpg -F image=@b.jpg -F indexKey=house http://HOST/v1/infer:batch
    curl -F image=@anna.jpg -F label=Anna -F indexKey=house http://HOST/face-recognition-index-add

Every success comes in msgpack, with a drawn image as bytes, to a request with
`Accept: application/msgpack`. Failures are JSON.

With the header `Request-Timeout` (seconds) a request says how long its client waits; after that, it
is answered 504 and costs nothing more. `Server-Timing` tells where a request's time went."""

FAILURES = {
    401: "No API key, or none that opens anything (where the service asks for keys)",
    403: "The API key lacks the scope that this needs",
    404: "No such gallery or job",
    408: "The body did not arrive in time",
    409: "The gallery exists already, or holds embeddings of another model; or the job id was used "
    "for another request",
    413: "A body, an image or a list is over its limit",
    415: "A compressed body (Content-Encoding)",
    421: "The Host header names another service",
    422: "An invalid field, an image that can't be decoded, pairs that can't be enrolled, or an "
    "Idempotency-Key that was used for another request",
    429: "Over capacity, or over a quota: try again after Retry-After seconds",
    500: "Unexpected failure",
    503: "A stage is unavailable",
    504: "Not done within the deadline",
}

SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, made with `face-serve keys create`. Each operation names the scope "
    "that the key needs: read, enrol or admin.",
}

_REFERENCE = "#/components/schemas/{model}"


NAMES_A_CHANGE = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Names this change: sent again with the same key and the same body, it is made "
    "once and answered the same (of idMap, what has been removed since is left out)",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[ -~]+$"},
}


def documented(
    request: type[schemas.Request],
    result: type[BaseModel],
    scope: Scope,
    *,
    change: bool = False,
) -> dict[str, Any]:
    """Arguments of a route that takes a body of ``request`` and answers ``result``. ``scope``: what
    its API key needs; ``change``: it may be named by an idempotency key."""
    body = {"required": True, "content": description.content(request, _REFERENCE)}
    parameters = _listed(description.query(request, _REFERENCE), "query", [])
    if change:
        parameters.append(NAMES_A_CHANGE)
    extra = {
        "requestBody": body,
        **({"parameters": parameters} if parameters else {}),
        "security": needs(scope),
    }
    return {**_replies(result), "openapi_extra": extra}


def documented_address(
    result: type[BaseModel],
    scope: Scope,
    *,
    path: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    change: bool = False,
) -> dict[str, Any]:
    """As ``documented``, of a route that is asked by its ``path`` and ``query``."""
    parameters = [*_parameters(path, "path"), *_parameters(query, "query")]
    if change:
        parameters.append(NAMES_A_CHANGE)
    extra = {"parameters": parameters, "security": needs(scope)}
    return {**_replies(result), "openapi_extra": extra}


def _replies(result: type[BaseModel]) -> dict[str, Any]:
    return {
        "response_model": schemas.Success[result],  # type: ignore[valid-type]
        "responses": {
            status: {"model": schemas.Failure, "description": text}
            for status, text in FAILURES.items()
        },
    }


def _parameters(values: type[BaseModel] | None, place: str) -> list[dict[str, Any]]:
    if values is None:
        return []
    schema = values.model_json_schema()
    return _listed(schema["properties"], place, schema.get("required", []))


def _listed(fields: dict[str, Any], place: str, required: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": place,
            "required": name in required,
            "description": field.pop("description", ""),
            "schema": field,
        }
        for name, field in fields.items()
    ]


def add_body_schemas(app: FastAPI, requests: Sequence[type[BaseModel]], *, keys: bool) -> None:
    """Put what ``documented`` refers to into the document of ``app``. ``keys``: it asks for API
    keys; else they are an option."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, requests, keys)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's own way to extend it


def _document(app: FastAPI, requests: Sequence[type[BaseModel]], keys: bool) -> dict[str, Any]:
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, definitions = models_json_schema(
        [(request, "validation") for request in requests], ref_template=_REFERENCE
    )
    document["components"]["schemas"] |= definitions["$defs"]
    document["components"]["securitySchemes"] = {SCHEME: SECURITY}
    for path, operations in document["paths"].items():
        if path not in PROBES:
            for operation in operations.values():
                _add_msgpack(operation["responses"])
                if not keys:
                    operation["security"] = [*operation["security"], {}]
    return document


def _add_msgpack(responses: dict[str, Any]) -> None:
    """Successes come in msgpack, too."""
    for status, response in responses.items():
        if status.startswith("2"):
            response["content"][msgpack_form.KINDS[0]] = response["content"][JSON]
