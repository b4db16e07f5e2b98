"""JSON to a request, from the raw bytes at once.

Owns how many values a body may hold: its bytes alone bound nothing.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from serve_app.api import schemas
from serve_app.api.errors import invalid_body, invalid_field
from serve_app.api.log_ids import usable_log_id
from serve_app.errors import TooLargeError

MAX_JSON_VALUES = 1_000_000
"""Values in one body. Its bytes alone bound nothing: 64 MiB of "[],[],..." become 700 MB."""

COUNTED_AT_ONCE = 64 * 1024

Parsed = TypeVar("Parsed", bound=schemas.Request)


def is_json(kind: str) -> bool:
    """Whether a content type, in lower case and without parameters, is JSON."""
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def parse(schema: type[Parsed], body: bytes) -> Parsed:
    """The request in a body. Raises InvalidRequestError, TooLargeError."""
    check_count(body)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error, body) from None


def parse_part(part: bytes) -> dict[str, Any]:
    """The object in a part of a body. Raises InvalidRequestError, TooLargeError."""
    check_count(part)
    try:
        values = from_json(part)
    except ValueError:
        raise invalid_field("json_invalid", "request", "JSON decode error") from None
    if not isinstance(values, dict):
        raise invalid_field("dict_type", "request", "Input should be an object")
    return values


class _LogIdOnly(BaseModel):
    logId: Any = None  # noqa: N815 - the wire's word


def log_id_of(body: bytes) -> str | None:
    """The log id in a body that may be anything."""
    try:
        check_count(body)
        return usable_log_id(_LogIdOnly.model_validate_json(body).logId)
    except (ValidationError, TooLargeError):
        return None


def check_count(body: bytes) -> None:
    """Raises TooLargeError for JSON that may hold more than MAX_JSON_VALUES values."""
    # Every value of an array or object but the first follows a comma, every first one a bracket.
    # NumPy, as counting in a large body costs more than parsing it: 10 ms for 10 MB with bytes.
    if len(body) <= MAX_JSON_VALUES:
        return
    data, count = np.frombuffer(body, dtype=np.uint8), 0
    for start in range(0, len(data), COUNTED_AT_ONCE):
        chunk = data[start : start + COUNTED_AT_ONCE]
        count += sum(int(np.count_nonzero(chunk == mark)) for mark in b",[{")
        if count > MAX_JSON_VALUES:
            raise TooLargeError(
                f"the body holds more than {MAX_JSON_VALUES} values: send it in several requests"
            )
