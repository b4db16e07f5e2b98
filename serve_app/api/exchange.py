"""One exchange: body to request, operation under a deadline, result or error to envelope.

Owns the log id of a request and what is logged of a failure: the id and the kind of error, never
what the client sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import PurePath
from typing import Any, TypeVar
from uuid import uuid4

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from serve_app.api import schemas
from serve_app.api.errors import (
    NOT_AN_OBJECT,
    envelope_response,
    failure_response,
    invalid_body,
    invalid_field,
)
from serve_app.errors import DeadlineExceededError, FaceServeError, TooLargeError
from serve_app.request_context import current_request

logger = logging.getLogger(__name__)

MAX_LOG_ID_LENGTH = 128
MAX_JSON_VALUES = 1_000_000
"""Values in one body. Its bytes alone bound nothing: 64 MiB of "[],[],..." become 700 MB."""

Parsed = TypeVar("Parsed", bound=schemas.Request)
Result = TypeVar("Result", bound=schemas.Outgoing)


class Exchange:
    async def answer(
        self,
        request: Request,
        schema: type[Parsed],
        operation: Callable[[Parsed], Awaitable[Result]],
    ) -> Response:
        """The reply to ``request``, whatever happens."""
        body = await request.body()
        try:
            parsed = parse(schema, body, request.headers.get("content-type", ""))
        except FaceServeError as error:
            return failure_response(error, log_id_of(body) or new_log_id())
        log_id = usable_log_id(parsed.log_id) or new_log_id()
        return await self._finish(log_id, lambda: operation(parsed), 200)

    async def answer_address(
        self, request: Request, work: Callable[[], Awaitable[Result]], status: int = 200
    ) -> Response:
        """The reply to a request that says all in its address. ``status``: of a success. A body is
        not needed; its log id is echoed all the same."""
        log_id = log_id_of(await request.body()) or new_log_id()
        return await self._finish(log_id, work, status)

    async def _finish(
        self, log_id: str, work: Callable[[], Awaitable[Result]], status: int
    ) -> Response:
        try:
            result = await self._within_deadline(work())
        except FaceServeError as error:
            return failure_response(error, log_id)
        except Exception as error:
            log_failure(log_id, error)
            return failure_response(FaceServeError(), log_id)
        return success_response(result, log_id, status)

    async def _within_deadline(self, work: Awaitable[Result]) -> Result:
        context = current_request()
        left_s = None if context.deadline == inf else context.remaining_s(time.monotonic())
        try:
            async with asyncio.timeout(left_s) as deadline:
                return await work
        except (TimeoutError, DeadlineExceededError) as error:
            if isinstance(error, TimeoutError) and not deadline.expired():
                raise
            raise DeadlineExceededError(
                f"not done within {context.timeout_s:g} s. If this was a change of a gallery, it "
                "may have been made all the same: send it again with the same Idempotency-Key, or "
                "look first"
            ) from None


def success_response(result: Result, log_id: str, status: int = 200) -> Response:
    envelope = schemas.Success[Result](log_id=log_id, result=result)
    content = envelope.model_dump_json(by_alias=True, exclude_none=True)
    return Response(content, status_code=status, media_type="application/json")


def parse(schema: type[Parsed], body: bytes, content_type: str) -> Parsed:
    """The request in a body. Raises InvalidRequestError, TooLargeError."""
    if not body:
        raise invalid_field("missing", "", "Field required")
    if not _is_json(content_type):
        # As PaddleX has it; and a page of another origin can't post without a preflight.
        raise invalid_field("model_attributes_type", "", NOT_AN_OBJECT)
    _check_size(body)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error, body) from None


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The envelope for routes that are not there and methods that they don't have."""
    assert isinstance(error, HTTPException)
    log_id = log_id_of(await request.body()) or new_log_id()
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request)
    return envelope_response(error.status_code, str(error.detail), log_id, headers)


def _allowed(request: Request) -> str:
    """Methods of the request's address: Starlette tells those of the first route that has it."""
    routes = [
        route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE
    ]
    return ", ".join(sorted({method for route in routes for method in route.methods}))


def new_log_id() -> str:
    return str(uuid4())


def usable_log_id(value: object) -> str | None:
    """A client's log id if it is fit for a reply and a log line: 1 to 128 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= MAX_LOG_ID_LENGTH and value.isprintable():
        return value
    return None


class _LogIdOnly(BaseModel):
    logId: Any = None  # noqa: N815 - the wire's word


def log_id_of(body: bytes) -> str | None:
    """The log id in a body that may be anything."""
    try:
        _check_size(body)
        return usable_log_id(_LogIdOnly.model_validate_json(body).logId)
    except (ValidationError, TooLargeError):
        return None


def log_failure(log_id: str, error: BaseException) -> None:
    """Kind and place of an error that nobody foresaw. Its text and its traceback may hold data."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "unknown"
    if frame is not None:
        place = f"{PurePath(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    logger.error("request %s failed: %s at %s", log_id, type(error).__name__, place)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _check_size(body: bytes) -> None:
    # Every value of an array or object but the first follows a comma, every first one a bracket.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_JSON_VALUES:
        raise TooLargeError(
            f"the body holds more than {MAX_JSON_VALUES} values: send it in several requests"
        )
