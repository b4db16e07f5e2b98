"""A request's body to the request, in whichever form it came.

Owns which form a content type stands for and which forms an operation takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError

from serve_app.api import schemas
from serve_app.api.errors import NOT_AN_OBJECT, invalid_body, invalid_field, invalid_values
from serve_app.api.forms import image_form, json_form, msgpack_form, multipart_form
from serve_app.api.forms.assembly import assemble
from serve_app.api.forms.content_type import kind_of
from serve_app.api.forms.cross_site import refuse_cross_site
from serve_app.api.forms.places import IMAGE, Place, place_of
from serve_app.api.log_ids import new_log_id, usable_log_id
from serve_app.errors import FaceServeError

Parsed = TypeVar("Parsed", bound=schemas.Request)
Read = tuple[str, Parsed | FaceServeError]
"""A request's log id, its own or a fresh one, and what it asks for or what is wrong with it."""

SHORT_LIST = 64
"""Lists in a msgpack body may always be so long, also where no images are listed."""


class RequestReader:
    """``max_pairs``: image-label pairs of one request, as the limits say."""

    def __init__(self, max_pairs: int) -> None:
        self._max_pairs = max_pairs

    async def read(self, schema: type[Parsed], request: Request) -> Read[Parsed]:
        """Never raises for what a client sent."""
        kind = kind_of(request.headers.get("content-type", ""))
        if not json_form.is_json(kind):
            place = place_of(schema, self._max_pairs)
            if place is not None and _is_binary(kind, place):
                return await _read_binary(schema, request, kind, place)
        return _read_json(schema, await request.body(), kind)


def _is_binary(kind: str, place: Place) -> bool:
    if image_form.is_image(kind):
        return place.field == IMAGE
    return kind == multipart_form.KIND or msgpack_form.is_msgpack(kind)


def _read_json(schema: type[Parsed], body: bytes, kind: str) -> Read[Parsed]:
    try:
        _check_not_empty(body)
        if not json_form.is_json(kind):
            # As PaddleX has it; and a page of another origin can't post without a preflight.
            raise invalid_field("model_attributes_type", "", NOT_AN_OBJECT)
        parsed = json_form.parse(schema, body)
    except FaceServeError as error:
        return json_form.log_id_of(body) or new_log_id(), error
    return usable_log_id(parsed.log_id) or new_log_id(), parsed


async def _read_binary(
    schema: type[Parsed], request: Request, kind: str, place: Place
) -> Read[Parsed]:
    body = await request.body()
    log_id = new_log_id()
    try:
        _check_not_empty(body)
        values = await _values(request, body, kind, place)
        log_id = usable_log_id(values.get("logId")) or log_id
        return log_id, _validated(schema, values, "query" if image_form.is_image(kind) else "body")
    except FaceServeError as error:
        return log_id, error


async def _values(request: Request, body: bytes, kind: str, place: Place) -> Mapping[str, Any]:
    if image_form.is_image(kind):
        return image_form.values(request, body)
    if msgpack_form.is_msgpack(kind):
        return msgpack_form.values(body, max(place.most, SHORT_LIST))
    refuse_cross_site(request.headers)
    content_type = request.headers["content-type"]
    return assemble(await multipart_form.split(body, content_type, place.most_parts), place)


def _check_not_empty(body: bytes) -> None:
    if not body:
        raise invalid_field("missing", "", "Field required")


def _validated(schema: type[Parsed], values: Mapping[str, Any], place: str) -> Parsed:
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        told = invalid_body(error, b"") if place == "body" else invalid_values(error, place)
        raise told from None
