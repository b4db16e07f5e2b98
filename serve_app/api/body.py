"""Request bodies: read whole, within limits of size and time, before any route sees them.

Pure ASGI. Owns what a body may cost, and that work ends when its client goes. Must not know what is
in a body.

A refused client still sends. If the connection closed under it, most clients (``requests`` among
them) would see a broken pipe and never read the answer; so the answer goes out first, then a
bounded part of the rest is read and thrown away, then the connection closes.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.errors import failure_response
from serve_app.api.exchange import log_failure, new_log_id
from serve_app.errors import FaceServeError, OverloadedError, SlowClientError, TooLargeError

BODIES_HELD = 8
"""Bodies of full size that one process holds at once; beyond them new ones are refused (429)."""

DRAIN_LIMITS = 1
"""What of a refused body is read and thrown away, as a multiple of the size limit."""


class _ClientGoneError(Exception):
    """The client closed the connection while its body was read: nobody waits for an answer."""


class BodyReader:
    """ASGI middleware. ``timeout_s`` is for the whole body, from the first byte to the last."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self, self._max_bytes)
        try:
            async with asyncio.timeout(self._timeout_s):
                content = await body.read(scope, receive)
        except _ClientGoneError:
            return
        except TimeoutError:
            body.release()
            slow = SlowClientError(f"the body did not arrive within {self._timeout_s:g} s")
            await self._refuse(slow, receive, send)
        except (TooLargeError, OverloadedError) as error:
            body.release()
            await self._refuse(error, receive, send)
        else:
            await self._run(scope, content, receive, send)
        finally:
            body.release()

    def hold(self, size: int) -> None:
        """Raises OverloadedError if this process holds as much as it may."""
        if self._held + size > BODIES_HELD * self._max_bytes:
            raise OverloadedError("too many large requests at once; try again shortly")
        self._held += size

    def release(self, size: int) -> None:
        self._held -= size

    async def _run(self, scope: Scope, content: bytes, receive: Receive, send: Send) -> None:
        """The app on a body that is there. If the client goes, the work is cancelled."""
        gone = asyncio.ensure_future(_disconnected(receive))
        work = asyncio.ensure_future(self._guarded(scope, _replay(content, gone), send))
        try:
            await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, work):
                task.cancel()
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

    async def _refuse(self, error: FaceServeError, receive: Receive, send: Send) -> None:
        response = failure_response(error, new_log_id())
        headers = [*response.raw_headers, (b"connection", b"close")]
        start = {"type": "http.response.start", "status": response.status_code}
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await _drain(receive, DRAIN_LIMITS * self._max_bytes)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Body:
    """One body while it is read and used, and its share of what the process holds."""

    def __init__(self, reader: BodyReader, max_bytes: int) -> None:
        self._reader = reader
        self._max_bytes = max_bytes
        self._held = 0

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises TooLargeError by its Content-Length or as soon as it passes the
        limit, OverloadedError, _ClientGoneError."""
        self._hold(_content_length(scope))
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            chunk = message.get("body", b"")
            chunks.append(chunk)
            size += len(chunk)
            self._hold(size)
            if not message.get("more_body", False):
                return b"".join(chunks)

    def release(self) -> None:
        self._reader.release(self._held)
        self._held = 0

    def _hold(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLargeError(
                f"the body is over the limit of {self._max_bytes} bytes: send smaller images or "
                "fewer of them"
            )
        if size > self._held:
            self._reader.hold(size - self._held)
            self._held = size


def _content_length(scope: Scope) -> int:
    """As the client says; 0 where it does not say (the server refuses what is no number)."""
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drain(receive: Receive, max_bytes: int) -> None:
    """Read and forget, until the body's end, the client's or ``max_bytes``."""
    size = 0
    while size <= max_bytes:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def _replay(content: bytes, gone: asyncio.Future[None]) -> Receive:
    """A ``receive`` that gives the body that was read, and then waits for the client's end."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": content, "more_body": False}
        await asyncio.wait({gone})
        return {"type": "http.disconnect"}

    return receive
