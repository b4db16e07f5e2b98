"""What stands between clients and the application: slow clients, names, odd requests, as they come
through the proxy that a user runs."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from load_tests.slow_clients import crowd, percentile, probed
from serve_app.api.client_address import HEADER
from serve_app.api.safe_headers import SAFE_HEADERS
from serve_app.deployments.haproxy import proxy_proof
from tests.integration.service import Service

CROWD = {"idle": 1000, "slow heads": 300, "slow bodies": 300, "slow readers": 50}
SECONDS = 14.0
"""Longer than HAProxy waits for a head (10 s)."""


@pytest.mark.timeout(120)
def test_slow_clients_hold_up_nobody(service: Service) -> None:
    """1,000 idle connections, and 600 that send a byte a second."""
    port = service.ports["http"]

    async def measured() -> tuple[list[float], int, int]:
        probing = asyncio.create_task(probed(port, SECONDS))
        async with crowd(port, CROWD) as slow:
            taken = await probing
            return taken, slow.open["slow heads"], slow.open["slow bodies"]

    taken, heads_open, bodies_open = asyncio.run(measured())
    assert len(taken) > SECONDS * 10
    assert percentile(taken, 0.99) < 0.1, sorted(taken)[-5:]
    assert heads_open == 0
    assert bodies_open == CROWD["slow bodies"], "these have limits.body_timeout_s"
    assert service.get("/v1/galleries").status_code == 200


def test_another_name_is_refused_but_not_to_probes(service: Service) -> None:
    for path, status in (("/v1/galleries", 421), ("/docs", 421), ("/health", 200), ("/ready", 200)):
        answer = httpx.get(
            service.url + path, headers={"Host": "evil.example"}, timeout=60, trust_env=False
        )
        assert answer.status_code == status
        assert {name.decode(): value.decode() for name, value in SAFE_HEADERS}.items() <= dict(
            answer.headers
        ).items()


def test_answers_of_the_proxy_itself_are_not_sniffed(service: Service) -> None:
    answer = service.get("/-/routes")
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_two_readings_of_a_request_come_to_no_two_requests(service: Service) -> None:
    """All of them: ``tests/deployments/test_smuggling.py``. Here: that this proxy is that one."""
    inner = b"GET /v1/galleries HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for framing in (
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(inner),
        b"Content-Length: 18446744073709551616\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", service.ports["http"]), 5) as connection:
            head = b"POST /face-recognition-infer HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall(head + framing + inner)
            connection.settimeout(2)
            answer = b""
            try:
                while part := connection.recv(4096):
                    answer += part
            except (TimeoutError, ConnectionError):
                pass
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert b"galleries" not in answer


def test_the_ingress_believes_this_proxy(service: Service) -> None:
    """What they do with it: ``tests/deployments/test_smuggling.py``."""
    commands = [one.cmdline() for one in service.processes() if one.name() == "haproxy"]
    config = Path(commands[-1][commands[-1].index("-f") + 1])
    assert config.stat().st_mode & 0o777 == 0o600
    proofs = {proxy_proof(replica.environ()) for replica in service.replicas("Ingress")}
    (proof,) = proofs
    assert proof is not None
    assert f'set-header {HEADER} "%[src] {proof}"' in config.read_text(encoding="utf-8")
