"""Results to replies: the envelope of a success, in JSON, or in msgpack where that is asked for.

Failures are always JSON, as those of the proxy and of the body reader are. Must not know what is in
a result.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgpack
from fastapi import Response

from serve_app.api import schemas
from serve_app.api.forms.msgpack_form import is_msgpack
from serve_app.request_context import current_request

JSON = "application/json"

Result = TypeVar("Result", bound=schemas.Outgoing)


def success_response(
    result: Result, log_id: str, status: int = 200, *, accept: str = ""
) -> Response:
    """``accept``: the request's header of that name."""
    current_request().log_id = log_id
    envelope: schemas.Success[Result] = schemas.Success(log_id=log_id, result=result)
    kind = reply_kind(accept)
    if kind == JSON:
        content = envelope.model_dump_json(by_alias=True, exclude_none=True)
        return Response(content, status_code=status, media_type=JSON)
    values = _with_text_keys(envelope.model_dump(by_alias=True, exclude_none=True))
    return Response(msgpack.packb(values), status_code=status, media_type=kind)


def reply_kind(accept: str) -> str:
    """The content type of a success: msgpack under the name that an Accept header has for it, if it
    is named there and JSON is not preferred; else JSON."""
    weights: dict[str, float] = {}
    for listed in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in listed.split(";"))
        if kind == JSON or is_msgpack(kind):
            weights[kind] = _weight(parameters)
    named = max((kind for kind in weights if kind != JSON), key=weights.__getitem__, default=JSON)
    return named if 0 < weights.get(named, 0) >= weights.get(JSON, 0) else JSON


def _weight(parameters: list[str]) -> float:
    """A media range's q, RFC 9110 12.4.2; 0 for one that is none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1


def _with_text_keys(value: Any) -> Any:
    """Keys as JSON has them: most readers of msgpack refuse others."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value
