"""Request bodies: read whole, within limits of size, memory and time, before any route sees them.

Pure ASGI. Owns what a body may cost, and that work ends when its client goes. Must not know what is
in a body.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.errors import failure_response
from serve_app.api.exchange import log_failure
from serve_app.api.log_ids import new_log_id
from serve_app.api.refusal import ClientGoneError, Refuser, Upload, content_length
from serve_app.errors import (
    DeadlineExceededError,
    FaceServeError,
    OverloadedError,
    SlowClientError,
    TooLargeError,
    UnsupportedEncodingError,
)
from serve_app.request_context import current_request

BODIES_HELD = 8
"""Bodies of full size that one process holds at once; beyond that new ones are refused (429)."""


class BodyReader:
    """ASGI middleware. ``timeout_s`` is for the whole body, from the first byte to the last; of a
    refused body another ``max_bytes`` and ``timeout_s`` at most are read and thrown away."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._refuser = Refuser(max_bytes, timeout_s)
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = Upload(receive)
        context = current_request()
        left_s = context.remaining_s(time.monotonic())
        most = min(self._max_bytes, context.max_body_bytes)
        with self._memory() as take:
            try:
                async with asyncio.timeout(min(self._timeout_s, left_s)):
                    body = await self._read(scope, upload, most, take)
            except ClientGoneError:
                return
            except TimeoutError:
                refusal = self._too_slow(left_s)
            except (TooLargeError, OverloadedError, UnsupportedEncodingError) as error:
                # Its traceback would keep what was read alive while the rest is drained.
                refusal = error.with_traceback(None)
            else:
                await self._run(scope, body, receive, send)
                return
        await self._refuser.refuse(refusal, scope, upload, send)

    def _too_slow(self, left_s: float) -> FaceServeError:
        if left_s <= self._timeout_s:
            return DeadlineExceededError("the body did not arrive before the request's deadline")
        return SlowClientError(f"the body did not arrive within {self._timeout_s:g} s")

    @contextlib.contextmanager
    def _memory(self) -> Iterator[Callable[[int], None]]:
        """What one request holds of the process's memory: call with each number of bytes read."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self._held + size > BODIES_HELD * self._max_bytes:
                raise OverloadedError("too many large requests at once: try again shortly")
            self._held += size
            taken += size

        try:
            yield take
        finally:
            self._held -= taken

    async def _read(
        self, scope: Scope, upload: Upload, most: float, take: Callable[[int], None]
    ) -> bytes:
        too_large = TooLargeError(
            f"the body is over the limit of {most} bytes: send it in several requests"
        )
        check_encoding(scope)
        if (content_length(scope) or 0) > most:
            raise too_large
        body = bytearray()
        while not upload.ended:
            chunk = await upload.chunk()
            if len(body) + len(chunk) > most:
                raise too_large
            take(len(chunk))
            body += chunk
        return bytes(body)

    async def _run(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """The app on a body that is there. If the client goes, the work is cancelled."""
        gone = asyncio.ensure_future(_disconnected(receive))
        work = asyncio.ensure_future(self._guarded(scope, _replay(body, gone), send))
        try:
            await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and gone.exception() is not None:
                await asyncio.wait({work})  # the server can't tell whether the client is there
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.gather(gone, work, return_exceptions=True)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing that nobody foresaw reaches the server, which would log it with its data."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            log_id = new_log_id()
            log_failure(log_id, error)
            if not started:
                await failure_response(FaceServeError(), log_id)(scope, receive, send)


def check_encoding(scope: Scope) -> None:
    """By the head alone: inflated, a small body may be a huge one. Raises
    UnsupportedEncodingError."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise UnsupportedEncodingError(
                "compressed bodies are not read: send the body as it is, without Content-Encoding"
            )


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _replay(body: bytes, gone: asyncio.Future[None]) -> Receive:
    """The body as one message, then the disconnect when it comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.wait({gone})
        return {"type": "http.disconnect"}

    return receive
