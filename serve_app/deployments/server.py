"""The service on one machine: a Ray cluster of its own, on loopback, for as long as it runs.

Importing this imports Ray, which reads its environment: set ``deployments.environment`` first.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import ray
from ray import serve
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from serve_app.deployments.environment import free_port, is_free
from serve_app.deployments.serve_file import logical_cpus, on_one_machine
from serve_app.deployments.start_checks import check_logical_gpus
from serve_app.errors import ConfigError, UnavailableError

OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""Handles pass by value; only Ray itself and bulk jobs use the object store."""
JOB_CPUS = 0.5
"""Left to the actors of a bulk job (``JobsConfig``): without it the job would wait for good."""


@contextlib.contextmanager
def running_service(
    content: Mapping[str, Any], *, dashboard_port: int | None = None, timeout_s: float = 300
) -> Iterator[str]:
    """Start a cluster, deploy ``content`` (a checked Serve file), yield its URL, end everything.

    Raises ConfigError if the port is taken or a stage refuses its configuration, UnavailableError
    if it is not ready in time.
    """
    http = content.get("http_options", {})
    host, port = http.get("host", "127.0.0.1"), http.get("port", 8000)
    if not is_free(port):
        raise ConfigError(f"port {port} is in use: end what listens there or give another --port")
    dashboard_port = dashboard_port or free_port()
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, math.ceil(logical_cpus(content) + JOB_CPUS)),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=True,  # its API takes Serve files: `serve deploy` works too
        dashboard_port=dashboard_port,
        namespace="serve",
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        check_logical_gpus(content, ray.cluster_resources().get("GPU", 0))
        client = ServeSubmissionClient(f"http://127.0.0.1:{dashboard_port}")
        try:
            client.deploy_applications(on_one_machine(content))
            url = f"http://{host}:{port}"
            deadline = time.monotonic() + timeout_s
            _wait_until_running(deadline)
            _wait_until_answering(f"{url}/health", deadline)
            yield url
        finally:
            serve.shutdown()
    finally:
        ray.shutdown()
        _wait_until_closed(port)


def ensure_token(path: Path) -> None:
    """A fresh token for Ray's authentication, readable by its owner only."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))


def _wait_until_running(deadline: float) -> None:
    while True:
        applications = list(serve.status().applications.values())
        for application in applications:
            if application.status in ("DEPLOY_FAILED", "UNHEALTHY"):
                details = [application.message]
                details += [stage.message for stage in application.deployments.values()]
                raise ConfigError(_reason("\n".join(details)))
        if applications and all(one.status == "RUNNING" for one in applications):
            return
        if time.monotonic() > deadline:
            raise UnavailableError("the service did not start in time; see Ray's logs")
        time.sleep(0.2)


def _wait_until_answering(url: str, deadline: float) -> None:
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        if time.monotonic() > deadline:
            raise UnavailableError("the proxy does not answer; see Ray's logs")
        time.sleep(0.1)


def _wait_until_closed(port: int, timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_free(port) and time.monotonic() < deadline:
        time.sleep(0.1)


def _reason(message: str) -> str:
    """Our own error's text from a remote traceback; its first line where there is none."""
    ours = re.findall(r"serve_app\.errors\.\w+: (.+)", message)
    lines = [line for line in message.splitlines() if line.strip()]
    return str(ours[-1]) if ours else (lines[-1] if lines else "the application failed to start")
