"""pip-audit itself, asking an index of the test's own: what is found, and what is no clean bill."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from requirements.vulnerabilities import PINNED, VULNERABLE, NoAnswerError, audit

DANGEROUS = "leaky==1.0"


def advisory(pin: str) -> dict[str, object]:
    """As OSV words it."""
    name = pin.partition("==")[0]
    package = {"name": name, "ecosystem": "PyPI"}
    events = [{"introduced": "0"}, {"fixed": "9.1"}]
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
    return {"id": f"TEST-{name}", "aliases": [f"CVE-{name}"], "affected": affected}


class Index:
    """Speaks OSV's protocol on loopback; ``vulnerable`` are pins, None is an index that fails."""

    def __init__(self) -> None:
        self.vulnerable: set[str] | None = {VULNERABLE}
        self.asked: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = index.answer(f"{query['package']['name']}=={query['version']}")
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_request(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])
        self._thread.start()

    def answer(self, pin: str) -> tuple[int, object]:
        self.asked.append(pin)
        if self.vulnerable is None:
            return 503, {}
        return 200, {"vulns": [advisory(pin)]} if pin in self.vulnerable else {}

    @property
    def service(self) -> list[str]:
        return osv(self._server.server_port)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def osv(port: int) -> list[str]:
    return ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/"]


@pytest.fixture
def index() -> Iterator[Index]:
    index = Index()
    yield index
    index.close()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "some.lock"
    pins = [f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in (DANGEROUS, "sound==2.0")]
    file.write_text("".join(pins), encoding="ascii")
    return file


def test_each_pin_is_asked_for_and_nothing_known_is_fine(index: Index, lock: Path) -> None:
    assert audit([lock], {}, index.service) == []
    assert sorted(index.asked) == sorted([VULNERABLE, DANGEROUS, "sound==2.0"])


def test_what_is_known_is_named_with_the_version_that_mends_it(index: Index, lock: Path) -> None:
    index.vulnerable = {VULNERABLE, DANGEROUS}
    found = audit([lock], {}, index.service)
    assert found == ["leaky 1.0: CVE-leaky, TEST-leaky; fixed in 9.1"]


@pytest.mark.parametrize("name", ["TEST-leaky", "CVE-leaky"])
def test_what_is_accepted_is_reported_no_more(index: Index, lock: Path, name: str) -> None:
    index.vulnerable = {VULNERABLE, DANGEROUS}
    assert audit([lock], {name: "we never call it"}, index.service) == []


def test_an_index_that_knows_nothing_is_no_clean_bill(index: Index, lock: Path) -> None:
    index.vulnerable = set()
    with pytest.raises(NoAnswerError, match="knows no vulnerabilities"):
        audit([lock], {}, index.service)
    assert index.asked == [VULNERABLE], "nobody is asked hundreds of times for nothing"


def test_an_index_that_fails(index: Index, lock: Path) -> None:
    index.vulnerable = None
    with pytest.raises(NoAnswerError, match="does not answer"):
        audit([lock], {}, index.service)


def test_nobody_there(lock: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(NoAnswerError, match="does not answer"):
            audit([lock], {}, osv(reserved.getsockname()[1]))


def test_pip_audit_can_read_all_that_is_pinned() -> None:
    """Else nothing would be asked for, and the check be skipped for ever."""
    files = [word for file in PINNED for word in ("--requirement", str(file))]
    options = ["--dry-run", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    run = subprocess.run(
        [sys.executable, "-m", "pip_audit", *options, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
