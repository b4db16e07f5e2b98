"""Through Locust itself, against a server that does as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from load_tests.traffic.attempts import NO_ANSWER, WRONG
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan, Request
from load_tests.traffic.summary import phases


@dataclass
class Server:
    """``/stall``: no answer to anybody until ``stall_s`` after the first request came."""

    url: str = ""
    stall_s: float = 1.0
    bodies: list[bytes] = field(default_factory=list)
    first_s: float | None = None

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.bodies.append(body)
        if self.first_s is None:
            self.first_s = time.monotonic()
        if path == "/stall":
            time.sleep(max(0.0, self.first_s + self.stall_s - time.monotonic()))
        if path == "/full":
            return 429, {"Retry-After": "1"}, b"{}"
        if path == "/never":
            time.sleep(3)
        return 200, {"Server-Timing": "detect;dur=3"}, b'{"label": "Ann"}'


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, content = told.answer(self.path, body)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Many(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that went away

    http = Many(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield told
    http.shutdown()
    http.server_close()


def test_a_stall_shows_in_every_request_that_was_due_meanwhile(server: Server) -> None:
    """A client that waits for answers sends one request into the stall and reports one slow one."""
    plan = Plan((Phase("steady", 2, rate=20),), (Request("r", "/stall", b"x"),), arrivals="even")
    attempts = send(plan, server.url).attempts
    assert [one.due_s for one in attempts] != []
    assert sorted(one.due_s for one in attempts) == [pytest.approx(n / 20) for n in range(40)]
    assert all(one.status == 200 for one in attempts)
    slow = [one for one in attempts if one.latency_s > 0.3]
    assert 12 <= len(slow) <= 18  # due in the first 0.7 of the second that it stood still
    assert max(one.latency_s for one in attempts) > 0.9


def test_clients_wait_for_their_answers_and_phases_follow(server: Server) -> None:
    server.stall_s = 0
    plan = Plan(
        (Phase("two", 0.5, clients=2), Phase("rate", 0.5, rate=10)),
        (Request("r", "/ok", b"{number}", expects="Ann"),),
        arrivals="even",
    )
    traffic = send(plan, server.url)
    by_phase = phases(traffic.attempts)
    assert len(by_phase["rate"]) == 5
    assert all(one.due_s < 0.5 for one in by_phase["two"])
    ends = sorted(by_phase["two"], key=lambda one: one.due_s)
    busy = max(sum(a.due_s <= b.due_s < a.done_s for a in ends) for b in ends)
    assert busy <= 2
    assert sorted(map(int, server.bodies)) == list(range(1, len(traffic.attempts) + 1))
    assert traffic.client_cpu_s > 0
    assert by_phase["rate"][0].timing == "detect;dur=3"


def test_refused_clients_come_back_when_they_were_told_to(server: Server) -> None:
    plan = Plan((Phase("full", 1.5, clients=3),), (Request("r", "/full", b"x"),))
    attempts = send(plan, server.url).attempts
    assert [one.status for one in attempts] == [429] * 6
    assert all(one.retry_after for one in attempts)


def test_wrong_and_missing_answers_are_told_apart(server: Server) -> None:
    requests = (Request("wrong", "/ok", b"x", expects="Bob"), Request("never", "/never", b"x"))
    plan = Plan((Phase("p", 1, rate=10),), requests, arrivals="even", timeout_s=1.0)
    found = {(one.request, one.status) for one in send(plan, server.url).attempts}
    assert found == {("wrong", WRONG), ("never", NO_ANSWER)}


def test_load_stays_on_this_machine() -> None:
    plan = Plan((Phase("p", 1, rate=1),), (Request("r", "/"),))
    with pytest.raises(ValueError, match="this machine only"):
        send(plan, "http://192.0.2.1:80")
