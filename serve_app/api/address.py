"""What a request says in its address: the values of its path and its query, checked.

Knows no route. Nothing of an address is ever part of a message made here.
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Request
from pydantic import ValidationError

from serve_app.api.errors import invalid_value, invalid_values
from serve_app.api.schemas import Incoming

Values = TypeVar("Values", bound=Incoming)


def path_of(schema: type[Values], request: Request) -> Values:
    """The values in the path of ``request``. Raises InvalidRequestError."""
    # Servers need not give the bytes; then what they decoded has to do.
    _check_utf8(request.scope.get("raw_path") or b"", "path")
    try:
        return schema.model_validate(request.path_params)
    except ValidationError as error:
        raise invalid_values(error, "path") from None


def query_of(schema: type[Values], request: Request) -> Values:
    """The values in the query of ``request``; of one that is given twice the last. Others are
    ignored, as unknown fields of a body are. Raises InvalidRequestError."""
    try:
        return schema.model_validate(query_values(request))
    except ValidationError as error:
        raise invalid_values(error, "query") from None


def query_values(request: Request) -> dict[str, str]:
    """As ``query_of`` reads them, not yet validated. Raises InvalidRequestError."""
    _check_utf8(request.scope["query_string"], "query")
    return dict(request.query_params)


def _check_utf8(encoded: bytes, place: str) -> None:
    """Servers put U+FFFD for what is no UTF-8. A label in Latin-1 would be another label: its
    removal would be answered with success and leave everything there."""
    try:
        unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise invalid_value(
            "string_unicode", place, "Input should be UTF-8 in percent encoding"
        ) from None
