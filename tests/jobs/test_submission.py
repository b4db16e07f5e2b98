"""A cluster that is none. With a real one: tests/integration/test_j_jobs.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from serve_app.deployments.environment import free_port
from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.jobs.submission import Submission

ANSWERS = {"/nothing": (404, ""), "/page": (200, "<html>"), "/other": (200, "{}"),
           "/broken": (500, ""), "/locked": (401, ""), "/wrong": (403, "")}  # fmt: skip


class Answering(BaseHTTPRequestHandler):
    """As the first component of the path says."""

    def do_GET(self) -> None:
        status, body = ANSWERS["/" + self.path.split("/")[1]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_nobody_is_there() -> None:
    with pytest.raises(UnavailableError, match=r"does not answer: give the address .* --address"):
        Submission(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("path", ["nothing", "page", "other", "broken"])
def test_somebody_else_is_there(path: str, server: str) -> None:
    with pytest.raises(UnavailableError, match=r"does not answer: give the address"):
        Submission(f"{server}/{path}")


@pytest.mark.parametrize("path", ["locked", "wrong"])
def test_its_token_is_wanted(path: str, server: str) -> None:
    with pytest.raises(UnavailableError, match="wants its token: set RAY_AUTH_MODE=token") as error:
        Submission(f"{server}/{path}")
    assert "127.0.0.1" not in str(error.value)


@pytest.mark.parametrize("address", ["127.0.0.1:8265", "ray://127.0.0.1:10001", "auto", "os://x"])
def test_an_address_of_another_kind(address: str) -> None:
    with pytest.raises(InvalidRequestError, match="http://HOST:8265"):
        Submission(address)
