"""Refusing a request whose body is still coming in.

If the connection closed under a client that is still sending, many clients (``requests`` among
them) would report a reset and never read the answer. So the answer goes out first, then a bounded
part of the rest is read and thrown away, then the connection closes. A body that says it is small
is read to its end, and the connection stays: under overload, new connections would cost more than
the refusals.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import Receive, Scope, Send

from serve_app.api.errors import failure_response
from serve_app.api.log_ids import new_log_id
from serve_app.errors import DeadlineExceededError, FaceServeError, SlowClientError

SMALL_BYTES = 1024 * 1024
TOO_SLOW = (SlowClientError, DeadlineExceededError)


class ClientGoneError(Exception):
    """The client closed the connection while its body was read: nobody waits for an answer."""


class Upload:
    """A body as it comes in. ``ended``: nothing more of it will come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def chunk(self) -> bytes:
        """Raises ClientGoneError."""
        message = await self._receive()
        self.ended = not message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        return bytes(message.get("body", b""))


class Refuser:
    """Of a refused body, ``max_bytes`` at most are read and thrown away, for ``timeout_s``."""

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def refuse(
        self, refusal: FaceServeError, scope: Scope, upload: Upload, send: Send
    ) -> None:
        response = failure_response(refusal, new_log_id())
        headers = list(response.raw_headers)
        if isinstance(refusal, TOO_SLOW) or not self._is_small(scope):
            headers.append((b"connection", b"close"))
        head = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        await send(head)
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        with contextlib.suppress(TimeoutError, ClientGoneError):
            async with asyncio.timeout(self._timeout_s):
                drained = 0
                while drained < self._max_bytes and not upload.ended:
                    drained += len(await upload.chunk())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_small(self, scope: Scope) -> bool:
        """Whether all of the body will be read, and soon."""
        size = content_length(scope)
        if size is None:
            return all(name != b"transfer-encoding" for name, _ in scope["headers"])
        return size <= min(SMALL_BYTES, self._max_bytes)


def content_length(scope: Scope) -> int | None:
    """The declared size in bytes; None if there is none or it is no number (the count decides)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:19])
    return None
