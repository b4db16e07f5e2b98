from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from load_tests.drill.addresses import Addresses


class Proxy(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/-/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Unready(Proxy):
    status = 503


@contextmanager
def listening(proxy: type[Proxy]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_those_that_answer_their_probe_are_picked() -> None:
    with listening(Proxy) as good, listening(Unready) as bad:
        addresses = Addresses([good, bad, "http://127.0.0.1:1"])
        assert {addresses.pick() for _ in range(50)} == {good, bad, "http://127.0.0.1:1"}
        addresses.probe()
        assert addresses.ready == [good]
        assert {addresses.pick() for _ in range(50)} == {good}


def test_a_retry_goes_elsewhere_if_there_is_another() -> None:
    addresses = Addresses(["http://one", "http://two"])
    assert {addresses.pick(other_than="http://one") for _ in range(50)} == {"http://two"}
    addresses.replace(["http://one"])
    assert addresses.pick(other_than="http://one") == "http://one"


def test_new_addresses_wait_for_their_probe_unless_nobody_else_is_left() -> None:
    addresses = Addresses(["http://old"])
    addresses.replace(["http://old", "http://new"])
    assert {addresses.pick() for _ in range(50)} == {"http://old"}
    addresses.replace(["http://new"])
    assert addresses.pick() == "http://new"
