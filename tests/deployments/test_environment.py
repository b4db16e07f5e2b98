from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from serve_app.deployments.environment import (
    MESSAGE_BYTES,
    free_port,
    is_free,
    loopback_environment,
    serving_environment,
)


def loopback(**given: str) -> dict[str, str]:
    return loopback_environment(
        haproxy=Path("bin/face-serve-haproxy"),
        run_dir=Path("run"),
        token=Path("data/token"),
        given=given,
    )


def test_serves_through_haproxy_in_throughput_mode() -> None:
    environment = serving_environment()
    assert environment["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert environment["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert int(environment["RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"]) == MESSAGE_BYTES


def test_replicas_do_not_yield_to_everything_else_on_the_machine() -> None:
    assert serving_environment()["RAY_worker_niceness"] == "0"


def test_memory_of_a_request_is_used_again_by_the_next() -> None:
    """In a process of its own: glibc reads the settings when it starts."""
    faults = {
        name: int(
            subprocess.run(
                [sys.executable, "-c", COUNT_PAGE_FAULTS],
                env={**os.environ, **environment},
                capture_output=True,
                check=True,
            ).stdout
        )
        for name, environment in {"without": {}, "with": serving_environment()}.items()
    }
    assert faults["without"] > 100 * 200  # of 4 KiB: a megabyte has 256
    assert faults["with"] < 0.1 * faults["without"]


COUNT_PAGE_FAULTS = """
import resource
for round in range(110):
    if round == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bodies = [b"a" * 1_000_000 for _ in range(4)]
    del bodies
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_loopback_asks_for_a_token() -> None:
    environment = loopback()
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == "data/token"
    assert environment["RAY_SERVE_HAPROXY_BINARY_PATH"] == "bin/face-serve-haproxy"
    assert serving_environment().items() <= environment.items()


def test_what_the_caller_set_is_kept() -> None:
    environment = loopback(RAY_AUTH_TOKEN="secret", RAY_SERVE_HAPROXY_STATS_PORT="1234")
    assert "RAY_AUTH_TOKEN_PATH" not in environment
    assert environment["RAY_SERVE_HAPROXY_STATS_PORT"] == "1234"
    assert "RAY_AUTH_TOKEN" not in environment  # it is in the caller's environment already


def test_a_taken_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
    assert is_free(free_port())


def test_side_ports_avoid_those_that_are_taken() -> None:
    try:
        server = socket.create_server(("127.0.0.1", 8404))
    except OSError:
        server = None  # somebody else has it: as good
    try:
        assert loopback()["RAY_SERVE_HAPROXY_STATS_PORT"] != "8404"
    finally:
        if server is not None:
            server.close()
