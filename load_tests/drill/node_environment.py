"""The process environment of one simulated machine: ports and files of its own, the rest as on any
other. Pure: sets nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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
    """Of all machines and of the program that starts them, before it imports Ray."""
    return serving_environment() | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        # Nodes have the address 127.0.0.1 then, so that all of Ray's own ports are there.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_TMPDIR": str(directory),
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy),
        "PATH": f"{haproxy.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "FACE_SERVE_CACHE_DIR": os.environ.get("FACE_SERVE_CACHE_DIR", ""),
    }


def node_environment(directory: Path, ports: Ports) -> dict[str, str]:
    """What differs between machines. ``directory`` is the machine's own and a short path."""
    return {
        "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(ports.http),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(directory / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(directory / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(directory / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(directory),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(directory / "server-state"),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.replicas),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.replicas + REPLICA_PORTS),
    }


def changed(environ: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    return {**environ, **{name: value for name, value in added.items() if value}}
