"""One exchange: body to request, operation under a deadline, result or error to envelope.

Owns what is logged of a failure: the log id and the kind of error, never what the client sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import PurePath
from typing import TypeVar

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from serve_app.api import schemas
from serve_app.api.errors import envelope_response, failure_response
from serve_app.api.forms.json_form import log_id_of
from serve_app.api.forms.reading import RequestReader
from serve_app.api.log_ids import new_log_id
from serve_app.api.replies import success_response
from serve_app.errors import DeadlineExceededError, FaceServeError
from serve_app.request_context import current_request

logger = logging.getLogger(__name__)

Parsed = TypeVar("Parsed", bound=schemas.Request)
Result = TypeVar("Result", bound=schemas.Outgoing)


class Exchange:
    def __init__(self, reader: RequestReader) -> None:
        self._reader = reader

    async def answer(
        self,
        request: Request,
        schema: type[Parsed],
        operation: Callable[[Parsed], Awaitable[Result]],
        status: int = 200,
    ) -> Response:
        """The reply to ``request``, whatever happens. ``status``: of a success."""
        log_id, parsed = await self._reader.read(schema, request)
        if isinstance(parsed, FaceServeError):
            return failure_response(parsed, log_id)
        return await self._finish(request, log_id, lambda: operation(parsed), status)

    async def answer_address(
        self, request: Request, work: Callable[[], Awaitable[Result]], status: int = 200
    ) -> Response:
        """The reply to a request that says all in its address. ``status``: of a success. A body is
        not needed; its log id is echoed all the same."""
        log_id = log_id_of(await request.body()) or new_log_id()
        return await self._finish(request, log_id, work, status)

    async def _finish(
        self, request: Request, log_id: str, work: Callable[[], Awaitable[Result]], status: int
    ) -> Response:
        try:
            result = await self._within_deadline(work())
        except FaceServeError as error:
            return failure_response(error, log_id)
        except Exception as error:
            log_failure(log_id, error)
            return failure_response(FaceServeError(), log_id)
        return success_response(result, log_id, status, accept=request.headers.get("accept", ""))

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


def log_failure(log_id: str, error: BaseException) -> None:
    """Kind and place of an error that nobody foresaw. Its text and its traceback may hold data."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "unknown"
    if frame is not None:
        place = f"{PurePath(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
    logger.error("request %s failed: %s at %s", log_id, type(error).__name__, place)
