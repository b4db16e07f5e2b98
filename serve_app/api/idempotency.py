"""``Idempotency-Key``: what names a change, so that a client may send it again.

Owns what the header may be and what two requests of one key have in common. What a change that was
made already is answered, the index knows.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request

from serve_app.api.errors import invalid_value
from serve_app.api.forms import multipart_form
from serve_app.api.forms.content_type import kind_of
from serve_app.api.schemas import AddRequest, BuildRequest, Outgoing, RemoveRequest
from serve_app.request_context import current_request
from serve_app.types import Operation

HEADER = "Idempotency-Key"
MAX_LENGTH = 255

PLACE = f"header.{HEADER}"

Change = TypeVar("Change", BuildRequest, AddRequest, RemoveRequest)
Result = TypeVar("Result", bound=Outgoing)


def once(
    request: Request, change: Callable[[Change, Operation | None], Awaitable[Result]]
) -> Callable[[Change], Awaitable[Result]]:
    """``change`` under the name that the header of ``request`` gives it."""

    async def named(parsed: Change) -> Result:
        return await change(parsed, await operation_of(request, parsed.index_key))

    return named


async def operation_of(request: Request, gallery: str | None, detail: str = "") -> Operation | None:
    """What names the change that ``request`` asks for, or None without the header.

    ``gallery``: as the request names it, so that a key of another gallery is another key.
    ``detail``: what else is asked for outside the body. Raises InvalidRequestError.
    """
    name = _header(request)
    if name is None:
        return None
    scope = [current_request().caller.tenant, request.scope["route"].path, gallery or "", name]
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    return Operation(
        id=hashlib.sha256(json.dumps(scope).encode()).hexdigest(),
        # Beside the event loop: a body of 64 MiB takes a tenth of a second.
        digest=await asyncio.to_thread(_digest, body, content_type, detail),
    )


def _digest(body: bytes, content_type: str, detail: str) -> str:
    """Of what is asked for. Clients draw the boundary of a multipart body anew when they send it
    again: that is no other request."""
    if kind_of(content_type) == multipart_form.KIND:
        body = multipart_form.without_boundary(body, content_type)
    return hashlib.sha256(b"\0".join([detail.encode(), body]) if detail else body).hexdigest()


def _header(request: Request) -> str | None:
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1:
        raise invalid_value("header_repeated", PLACE, "Header should be there once")
    (name,) = given
    if not 1 <= len(name) <= MAX_LENGTH or not (name.isascii() and name.isprintable()):
        raise invalid_value(
            "header_value",
            PLACE,
            f"Header should have 1 to {MAX_LENGTH} printable ASCII characters",
        )
    return name
