"""Errors to HTTP: one table from code to status, one envelope, one form of validation messages.

Knows nothing of routes. Nothing that a client sent is ever part of a message made here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import ceil
from typing import Any

from fastapi import Response
from pydantic import ValidationError

from serve_app.api.schemas import Failure
from serve_app.errors import (
    FaceServeError,
    InvalidRequestError,
    OverloadedError,
    TooLargeError,
)
from serve_app.request_context import current_request

STATUS: dict[str, int] = {
    "invalid_request": 422,
    "invalid_image": 422,
    "no_face": 422,
    "several_faces": 422,
    "fetch_failed": 422,
    "rejected_pairs": 422,
    "too_large": 413,
    "slow_client": 408,
    "unsupported_encoding": 415,
    "misdirected": 421,
    "gallery_not_found": 404,
    "gallery_exists": 409,
    "gallery_mismatch": 409,
    "operation_reused": 422,
    "job_not_found": 404,
    "key_not_found": 404,
    "job_changed": 409,
    "job_conflict": 409,
    "job_lost": 409,
    "overloaded": 429,
    "quota_exceeded": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "unavailable": 503,
    "deadline_exceeded": 504,
    "internal": 500,
    "invalid_config": 500,
    "database_away": 503,
    "newer_schema": 500,
    "invalid_model": 500,
}
"""HTTP status of each ``FaceServeError.code``."""

INTERNAL_MESSAGE = "Internal server error"
RETRY_AFTER_S = 1
"""Least seconds until a client should try again."""
MAX_LINES = 1000
"""Lines that are counted to say where JSON breaks: a body of nothing but line breaks would hold up
the event loop for seconds."""
TOLD_PROBLEMS = 20
"""Problems of one body that are listed; the rest is only counted."""

NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"


def failure_response(error: FaceServeError, log_id: str) -> Response:
    """The envelope of an error. Its code is noted in the request's context, for those who observe
    answers."""
    current_request().failure = error.code
    status, message = status_and_message(error)
    headers = {"Retry-After": str(_retry_after_s(error))} if status in {429, 503} else {}
    if status == 401:  # RFC 6750
        headers["WWW-Authenticate"] = 'Bearer realm="face-serve"'
    return envelope_response(status, message, log_id, headers)


def status_and_message(error: FaceServeError) -> tuple[int, str]:
    """What is told of an error. A status of 500 never says more than a fixed text."""
    status = STATUS.get(error.code, 500)
    return status, INTERNAL_MESSAGE if status == 500 else str(error)


def _retry_after_s(error: FaceServeError) -> int:
    """Whole seconds, as HTTP has it."""
    seconds = error.retry_after_s if isinstance(error, OverloadedError) else 0
    return max(RETRY_AFTER_S, ceil(seconds))


def envelope_response(
    status: int, message: str, log_id: str, headers: dict[str, str] | None = None
) -> Response:
    current_request().log_id = log_id
    failure = Failure(log_id=log_id, error_code=status, error_msg=message)
    return Response(
        failure.model_dump_json(by_alias=True),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def invalid_field(kind: str, field: str, message: str) -> InvalidRequestError:
    """One problem of one field of the body, in the form of all validation messages."""
    return invalid_value(kind, f"body.{field}" if field else "body", message)


def invalid_value(kind: str, place: str, message: str) -> InvalidRequestError:
    """One problem outside the body: ``place`` is like ``query.limit``."""
    return _invalid([{"type": kind, "loc": place, "msg": message}])


def invalid_values(error: ValidationError, place: str) -> InvalidRequestError:
    """What is wrong with the values of ``place``: ``path`` or ``query``."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return _invalid(
        [
            {
                "type": problem["type"],
                "loc": _location(problem["loc"], place),
                "msg": problem["msg"],
            }
            for problem in problems
        ]
    )


def invalid_body(error: ValidationError, body: bytes) -> FaceServeError:
    """What is wrong with a body, as PaddleX 3.x words it: a JSON list of type, loc and msg.

    A list that is too long is a TooLargeError, all else an InvalidRequestError.
    """
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    for problem in problems:
        if problem["type"] == "too_long":
            return TooLargeError(f"{_location(problem['loc'])} is too long: send it in parts")
    told = [_told(problem, body) for problem in problems[:TOLD_PROBLEMS]]
    if rest := len(problems) - len(told):
        told.append({"type": "more", "loc": "body", "msg": f"{rest} more problems of this kind"})
    return _invalid(told)


def _invalid(problems: Sequence[dict[str, str]]) -> InvalidRequestError:
    return InvalidRequestError(json.dumps(problems, ensure_ascii=False))


def _told(problem: Any, body: bytes) -> dict[str, str]:
    kind, loc, message = problem["type"], _location(problem["loc"]), problem["msg"]
    if kind == "model_type":
        kind, message = "model_attributes_type", NOT_AN_OBJECT
    elif kind == "list_type":
        message = "Input should be a valid list"  # reading JSON, pydantic says array
    elif kind == "json_invalid":
        loc, message = f"body[{_offset(message, body)}]", "JSON decode error"
    return {"type": kind, "loc": loc, "msg": message}


def _location(parts: tuple[int | str, ...], place: str = "body") -> str:
    """``body.imageLabelPairs[0].label``. Parts are names of our schemas and positions only."""
    return place + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)


def _offset(message: str, body: bytes) -> int:
    """Where the JSON breaks, in bytes from the start, of the parser's "at line L column C"."""
    found = re.search(r"at line (\d+) column (\d+)$", message)
    if found is None:
        return 0
    line, column = int(found[1]), int(found[2])
    if line > MAX_LINES:
        return 0
    start = 0
    for _ in range(line - 1):
        start = body.find(b"\n", start) + 1
    return max(0, min(start + column - 1, len(body)))
