from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from load_tests.drill import client as client_module
from load_tests.drill.addresses import Addresses
from load_tests.drill.client import MOST_S, Answer, Client, pause_before_retry
from load_tests.drill.journal import Journal
from load_tests.traffic.attempts import NO_ANSWER


class Service(ThreadingHTTPServer):
    """Answers with ``replies`` in their order, and keeps the headers that came."""

    def __init__(self, replies: list[tuple[int, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = replies
        self.names: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.names.append(self.headers["Idempotency-Key"])
        status, content = self.server.replies.pop(0)
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(*replies: tuple[int, Any]) -> Iterator[Service]:
    with Service(list(replies)) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSE_S", 0.01)


def ask(*urls: str, change: bool = False) -> tuple[Answer, Journal]:
    journal = Journal()

    async def once() -> Answer:
        client = Client(Addresses(urls), journal)
        answer = await client.ask("name", "/add", {"a": 1}, 0.0, change=change)
        await client.close()
        return answer

    return asyncio.run(once()), journal


GOOD = 200, {"result": {"ids": [1]}}


def test_a_change_keeps_its_name_when_it_is_sent_again() -> None:
    with serving((500, "broken"), GOOD) as service:
        answer, journal = ask(service.url, change=True)
    assert answer.result == {"ids": [1]}
    assert service.names == ["name", "name"]
    assert [(one.number, one.status) for one in journal.attempts] == [(1, 500), (2, 200)]


def test_the_retry_waits_for_as_long_as_it_is_told() -> None:
    assert pause_before_retry({"retry-after": "7"}) == 7
    assert pause_before_retry({"retry-after": "3600"}) == MOST_S
    assert pause_before_retry({}) == client_module.PAUSE_S
    assert pause_before_retry({"retry-after": "Sun, 29 Nov 2026"}) == client_module.PAUSE_S


def test_there_is_one_retry_and_no_more() -> None:
    with serving((503, ""), (503, ""), GOOD) as service:
        answer, journal = ask(service.url)
    assert answer.result is None
    assert [one.status for one in journal.attempts] == [503, 503]
    assert service.names == [None, None], "a read has no name"


def test_a_mistake_is_not_sent_again() -> None:
    with serving((422, "wrong"), GOOD) as service:
        answer, journal = ask(service.url)
    assert answer.result is None
    assert [one.status for one in journal.attempts] == [422]


def test_who_does_not_listen_is_not_asked_twice() -> None:
    with serving(GOOD, GOOD) as service:
        found = [ask("http://127.0.0.1:1", service.url) for _ in range(2)]
    for answer, journal in found:
        assert answer.result == {"ids": [1]}
        if len(journal.attempts) == 2:
            first, second = journal.attempts
            assert (first.status, first.address) == (NO_ANSWER, "http://127.0.0.1:1")
            assert second.address == service.url
