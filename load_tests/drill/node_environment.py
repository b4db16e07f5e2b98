"""The process environment of a simulated machine: ports of its own, the rest as on any other.

Pure: sets nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from load_tests.traffic.generator import ROOT
from serve_app.deployments.environment import serving_environment

REPLICA_PORTS = 200
"""Of a cluster, for its Ingress replicas: machines have a range each, here they share one."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Of one machine; all on 127.0.0.1. ``http``: its proxy's."""

    http: int
    metrics: int
    stats: int
    fallback: int
    replicas: int

    @classmethod
    def chosen(cls, free: Callable[[], int], replicas: int) -> Ports:
        return cls(free(), free(), free(), free(), replicas)


def shared_environment(directory: Path, haproxy: Path, token: str) -> dict[str, str]:
    """Of all machines and of the program that starts them, before it imports Ray. ``directory``: a
    short path, as unix sockets lie in it."""
    return serving_environment() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        # Nodes have the address 127.0.0.1 then, so that all of Ray's own ports are there.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_TMPDIR": str(directory),
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy),
        # Ray puts a directory for each node below these.
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{directory}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{directory}/a.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{directory}/m.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(directory),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{directory}/server-state",
        "PATH": f"{haproxy.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
    }


def node_environment(ports: Ports) -> dict[str, str]:
    """What differs between machines."""
    return {
        "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(ports.http),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replicas),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replicas + REPLICA_PORTS),
    }
