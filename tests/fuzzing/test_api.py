"""That the fuzzing finds what it is for: in a small application with one fault on each route."""

from __future__ import annotations

import socket
import threading
import time
from typing import Annotated

import pytest
import uvicorn
from fastapi import FastAPI, Header, Request, Response

from tests.fuzzing.api import fuzz

KEY = "fs_a1b2_the-key-of-the-fuzzer"


def faulty() -> FastAPI:
    app = FastAPI()

    @app.get("/fine")
    async def fine() -> dict[str, str]:
        return {"said": "nothing"}

    @app.get("/fails")
    async def fails() -> Response:
        return Response('{"said": "sorry"}', 500, media_type="application/json")

    @app.get("/undocumented")
    async def undocumented() -> Response:
        return Response('{"said": "sorry"}', 418, media_type="application/json")

    @app.get("/keyed")
    async def keyed(
        authorization: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        if authorization == f"Bearer {KEY}":
            return Response('{"said": "come in"}', 500, media_type="application/json")
        return Response('{"said": "nothing"}', media_type="application/json")

    @app.get("/echoes")
    async def echoes(request: Request) -> dict[str, str]:
        return {"said": request.headers.get("authorization", "")}

    @app.get("/leaks")
    async def leaks() -> dict[str, list[float]]:
        return {"found": [0.5] * 128}

    return app


class Served:
    """An application on a free port of this machine, in a thread."""

    def __init__(self, app: FastAPI) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        run = {"sockets": [self._socket]}
        self._thread = threading.Thread(target=self._server.run, kwargs=run)

    def __enter__(self) -> Served:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def report() -> str:
    with Served(faulty()) as served:
        status, output = fuzz(served.url, 3, key=KEY)
    assert status != 0
    return output


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        ("fails", "Server error"),
        ("undocumented", "Undocumented status code"),
        ("keyed", "come in"),
        ("echoes", "the reply leaks: marked data"),
        ("leaks", "the reply leaks: embedding in reply.found"),
    ],
)
def test_a_fault_is_found(report: str, route: str, fault: str) -> None:
    _, _, told = report.partition(f"_ GET /{route} _")
    told, _, _ = told.partition("\n____")
    assert fault in told


def test_a_route_without_one_is_not_blamed(report: str) -> None:
    assert "_ GET /fine _" not in report
