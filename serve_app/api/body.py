"""Request bodies: read whole, within limits of size, memory and time, before any route sees them.

Pure ASGI. Owns what a body may cost, and that work ends when its client goes. Must not know what is
in a body.

A refused client is often still sending. If the connection closed under it, many clients
(``requests`` among them) would report a reset and never read the answer. So the answer goes out
first, then a bounded part of the rest is read and thrown away, then the connection closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.errors import failure_response
from serve_app.api.exchange import log_failure
from serve_app.api.log_ids import new_log_id
from serve_app.errors import FaceServeError, OverloadedError, SlowClientError, TooLargeError

BODIES_HELD = 8
"""Bodies of full size that one process holds at once; beyond that new ones are refused (429)."""


class _ClientGoneError(Exception):
    """The client closed the connection while its body was read: nobody waits for an answer."""


class _Upload:
    """A body as it comes in. ``ended``: nothing more of it will come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def chunk(self) -> bytes:
        """Raises _ClientGoneError."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        return bytes(message.get("body", b""))


class BodyReader:
    """ASGI middleware. ``timeout_s`` is for the whole body, from the first byte to the last; of a
    refused body another ``max_bytes`` and ``timeout_s`` at most are read and thrown away."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = _Upload(receive)
        with self._memory() as take:
            try:
                async with asyncio.timeout(self._timeout_s):
                    body = await self._read(scope, upload, take)
            except _ClientGoneError:
                return
            except TimeoutError:
                refusal: FaceServeError = SlowClientError(
                    f"the body did not arrive within {self._timeout_s:g} s"
                )
            except (TooLargeError, OverloadedError) as error:
                # Its traceback would keep what was read alive while the rest is drained.
                refusal = error.with_traceback(None)
            else:
                await self._run(scope, body, receive, send)
                return
        await self._refuse(refusal, upload, send)

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

    async def _read(self, scope: Scope, upload: _Upload, take: Callable[[int], None]) -> bytes:
        too_large = TooLargeError(
            f"the body is over the limit of {self._max_bytes} bytes: send it in several requests"
        )
        if _content_length(scope) > self._max_bytes:
            raise too_large
        body = bytearray()
        while not upload.ended:
            chunk = await upload.chunk()
            if len(body) + len(chunk) > self._max_bytes:
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

    async def _refuse(self, refusal: FaceServeError, upload: _Upload, send: Send) -> None:
        response = failure_response(refusal, new_log_id())
        await send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": [*response.raw_headers, (b"connection", b"close")],
            }
        )
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        with contextlib.suppress(TimeoutError, _ClientGoneError):
            async with asyncio.timeout(self._timeout_s):
                drained = 0
                while drained < self._max_bytes and not upload.ended:
                    drained += len(await upload.chunk())
        await send({"type": "http.response.body", "body": b"", "more_body": False})


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


def _content_length(scope: Scope) -> int:
    """The declared size in bytes; 0 if there is none or it is no number (the count decides)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:19])
    return 0
