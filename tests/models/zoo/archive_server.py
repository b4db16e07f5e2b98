"""An HTTP server on loopback that holds one archive, and misbehaves as it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Reply:
    """How one request is answered. ``breaks_after``, ``stalls_after``: bytes of the body;
    ``drips``: seconds before each KiB. ``ranges``: whether Range is honoured; ``checks``: whether
    If-Range is. ``length``: whether Content-Length is sent."""

    content: bytes = b""
    etag: str | None = '"one"'
    status: int = 200
    location: str | None = None
    ranges: bool = True
    checks: bool = True
    length: bool = True
    breaks_after: int | None = None
    stalls_after: int | None = None
    drips: float = 0
    encoding: str | None = None


@dataclass
class ArchiveServer:
    """Answers with ``replies`` in turn, and with the last of them from then on."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, path: str, headers: dict[str, str]) -> Reply:
        with self.lock:
            self.paths.append(path)
            self.requests.append(headers)
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("range") for headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    archive: ArchiveServer

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.archive.take(self.path, headers)
        body, status, span = reply.content, reply.status, None
        asked = headers.get("range")
        condition = headers.get("if-range")
        if asked and reply.ranges and status == 200 and (
            not reply.checks or condition in (None, reply.etag)
        ):  # fmt: skip
            start, size = int(asked.removeprefix("bytes=").rstrip("-")), len(body)
            if start >= size:
                status, span, body = 416, f"bytes */{size}", b""
            else:
                status, span, body = 206, f"bytes {start}-{size - 1}/{size}", body[start:]
        self.send_response(status)
        extra = {"ETag": reply.etag, "Location": reply.location, "Content-Range": span,
                 "Content-Encoding": reply.encoding}  # fmt: skip
        for name, value in extra.items():
            if value is not None:
                self.send_header(name, value)
        if reply.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self._send(body, reply)

    def _send(self, body: bytes, reply: Reply) -> None:
        end = len(body)
        for limit in (reply.breaks_after, reply.stalls_after):
            end = end if limit is None else min(end, limit)
        step = 1024 if reply.drips else max(end, 1)
        for start in range(0, end, step):
            if reply.drips and self.archive.closing.wait(reply.drips):
                return
            self.wfile.write(body[start : min(start + step, end)])
        self.wfile.flush()
        if reply.stalls_after is not None:
            self.archive.closing.wait(60)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Quiet."""


@contextlib.contextmanager
def archive_server() -> Iterator[ArchiveServer]:
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    archive = ArchiveServer(f"http://127.0.0.1:{server.server_port}")
    handler.archive = archive  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield archive
    finally:
        archive.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
