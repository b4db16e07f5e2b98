"""The process environment of a Ray cluster that serves: settings that no Serve file can hold.

Pure: returns what to set, sets nothing. They must be in place before Ray is imported, on the head
and on every worker.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

MESSAGE_BYTES = 256 * 1024 * 1024
"""Of one call between stages; Serve's own limit is 4 MiB, a large group photo's crops pass it."""

REUSED_BYTES = 16 * 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024
"""Blocks up to REUSED_BYTES come from memory that a process keeps, KEPT_BYTES of it at most when
nobody uses it. glibc's own limits are a hundredth: bodies and images would be new pages each time,
and their page faults two thirds of what reading a request of 200 KB costs (docs/benchmarks.md)."""


def serving_environment() -> dict[str, str]:
    """Fast serving: HAProxy in front, throughput mode, large messages, sane timeouts."""
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MESSAGE_BYTES),
        # Ray's default of 3,600 s lets an idle client hold a connection for an hour.
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "75",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "110",
        # At Ray's default of 0.1 the controller takes a quarter of what an idle service takes.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
        # Ray's default of 15 lets everything else on the machine go before every answer. Here only
        # the threads that compute step back (serve_app.priority).
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MALLOC_MMAP_THRESHOLD_": str(REUSED_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(KEPT_BYTES),
        # It writes a line for every hostile image; ours says what is wrong with it.
        "OPENCV_LOG_LEVEL": "OFF",
    }


def loopback_environment(
    *, haproxy: Path, run_dir: Path, token: Path, given: Mapping[str, str]
) -> dict[str, str]:
    """One machine, everything on 127.0.0.1, Ray's token authentication on.

    ``haproxy`` is the program of ``deployments.haproxy``, ``run_dir`` a short path (it holds unix
    sockets, whose paths end at 107 bytes). What ``given`` (the caller's environment) sets is kept.
    """
    wanted = serving_environment() | {
        "RAY_AUTH_MODE": "token",
        # The node's address is then 127.0.0.1, so that Ray's own ports are too. The name is
        # historical: Ray's default on Windows and macOS.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(run_dir / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(run_dir / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(run_dir / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(run_dir),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(run_dir / "server-state"),
        # Nobody else routes to this machine: there is nothing to drain for half a minute.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_PROXY_MIN_DRAINING_PERIOD_S": "1",
    }
    if "RAY_AUTH_TOKEN" not in given:
        wanted["RAY_AUTH_TOKEN_PATH"] = str(token)
    for name, usual in (
        ("RAY_SERVE_HAPROXY_METRICS_PORT", 9101),
        ("RAY_SERVE_HAPROXY_STATS_PORT", 8404),
        ("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", 8500),
    ):
        wanted[name] = str(usual if is_free(usual) else free_port())
    # Commands of this environment are what jobs are made of (face-serve-job).
    path = {"PATH": f"{haproxy.parent}{os.pathsep}{given.get('PATH', os.defpath)}"}
    return {name: given.get(name, value) for name, value in wanted.items()} | path


def is_free(port: int) -> bool:
    """True if nobody listens on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
