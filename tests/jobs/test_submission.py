"""A cluster that is none. With a real one: tests/integration/test_j_jobs.py."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ray.job_submission import JobStatus

from serve_app.deployments.environment import free_port
from serve_app.errors import InvalidRequestError, JobConflictError, UnavailableError
from serve_app.jobs import submission
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


@dataclass
class Known:
    """What Ray knows of a job."""

    submission_id: str
    entrypoint: str
    status: JobStatus
    driver_exit_code: int | None = None


class Client:
    """In the place of Ray's: what is submitted to it is over at once, as ``ends`` says."""

    def __init__(self, ends: tuple[JobStatus, int | None] = (JobStatus.SUCCEEDED, 0)) -> None:
        self.ends = ends
        self.known: dict[str, Known] = {}

    def list_jobs(self) -> list[Known]:
        return list(self.known.values())

    def submit_job(self, *, entrypoint: str, submission_id: str) -> None:
        self.known[submission_id] = Known(submission_id, entrypoint, *self.ends)

    def get_job_info(self, submission_id: str) -> Known:
        return self.known[submission_id]

    async def tail_job_logs(self, submission_id: str) -> AsyncIterator[str]:
        yield f"of {submission_id}\n"
        self.known[submission_id].status = self.ends[0]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(submission, "JobSubmissionClient", lambda _: client)
    return client


WORDS = ["face-serve-job", "staff", "/my photos"]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ((JobStatus.SUCCEEDED, 0), 0),
        ((JobStatus.FAILED, 2), 2),
        ((JobStatus.FAILED, 3), 3),
        ((JobStatus.FAILED, 70), 70),
        ((JobStatus.FAILED, -9), 3),
        ((JobStatus.FAILED, 137), 3),
        ((JobStatus.FAILED, None), 3),
        ((JobStatus.STOPPED, 15), 3),
        ((JobStatus.STOPPED, None), 3),
    ],
)
def test_exit_codes(ends: tuple[JobStatus, int | None], code: int, client: Client) -> None:
    client.ends = ends
    assert Submission("http://cluster:1").run(WORDS, "monday", print) == code


def test_one_that_is_running_is_followed_if_it_was_asked_the_same(client: Client) -> None:
    name = "face-serve-monday-0"
    entrypoint = "face-serve-job staff '/my photos'"
    client.known[name] = Known(name, entrypoint, JobStatus.RUNNING)
    said: list[str] = []
    with pytest.raises(JobConflictError, match="job monday is running with other arguments"):
        Submission("http://cluster:1").run([*WORDS, "--fail-fast"], "monday", said.append)
    assert said == []
    assert Submission("http://cluster:1").run(WORDS, "monday", said.append) == 0
    assert said == [f"of {name}"]
    assert list(client.known) == [name]
