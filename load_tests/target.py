"""The service that is measured: one that is started for it, or one that runs already."""

from __future__ import annotations

import contextlib
import copy
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from load_tests.machine.meter import Meter
from load_tests.traffic.generator import ROOT
from tests.integration.service import Service

PATIENT_S = 60.0
SETTLE_S = 8.0
"""From ready until what starting left to do is done: what is idle is measured after that."""


@dataclass(frozen=True, slots=True)
class Target:
    """``processes``: all of the service's. ``data_dir``: None where it is not ours."""

    url: str
    processes: Callable[[], Sequence[psutil.Process]]
    data_dir: Path | None = None
    seconds_to_ready: float | None = None

    def meter(self) -> Meter:
        return Meter(self.processes)

    def post(self, path: str, content: Mapping[str, Any], *, api_key: str = "") -> Any:
        """``result`` of the reply. Raises httpx.HTTPStatusError."""
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        reply = httpx.post(
            self.url + path, json=content, headers=headers, timeout=120, trust_env=False
        )
        return reply.raise_for_status().json()["result"]

    def idle_cores(self, seconds: float) -> float:
        """Cores that it uses while nobody asks it anything."""
        with self.meter() as meter:
            time.sleep(seconds)
        return meter.usage.cores


Content = Mapping[str, Any]
Prepare = Callable[[Path], None]


@contextlib.contextmanager
def started(
    content: Content,
    *,
    environ: Mapping[str, str] | None = None,
    prepare: Prepare = lambda _: None,
    settle_s: float = SETTLE_S,
) -> Iterator[Target]:
    """A service of its own on free ports, with a data directory of its own, until the end.

    ``content``: of the Serve file; ``prepare`` is called with the data directory before it starts.
    """
    # Short: it holds unix sockets.
    with tempfile.TemporaryDirectory(prefix="fs-", ignore_cleanup_errors=True) as directory:
        environ = {"PYTHONPATH": str(ROOT), **(environ or {})}
        service = Service(Path(directory), lambda data: _of(content, data), environ)
        service.data_dir.mkdir(mode=0o700)
        prepare(service.data_dir)
        try:
            service.start()
            time.sleep(settle_s)
            yield Target(
                service.url, service.all_processes, service.data_dir, service.seconds_to_ready
            )
        finally:
            # One that takes its time to end has been killed, and what was measured is measured.
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.stop()


def running(port: int) -> Target:
    """The service that listens on ``port``. Raises RuntimeError if none does, or no face-serve."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            listens = [
                one
                for one in process.net_connections("tcp")
                if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
            ]
            above = [process, *process.parents()] if listens else []
            for one in above:
                if "serve" in one.cmdline() and "face-serve" in " ".join(one.cmdline()):
                    return Target(f"http://127.0.0.1:{port}", lambda top=one: tree(top))  # type: ignore[misc]
    raise RuntimeError(f"no face-serve listens on port {port}: start one with `make serve`")


def tree(top: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return [top, *top.children(recursive=True)]
    return []


def serve_file(name: str, **args: Any) -> dict[str, Any]:
    """configs/serve/``name``.yaml, with other arguments of its application."""
    text = (ROOT / "configs" / "serve" / f"{name}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    content["applications"][0]["args"] |= args
    return content


def patient(content: Content) -> dict[str, Any]:
    """``content``, a Serve file, whose service refuses nobody for having to wait: for clients that
    wait by purpose, to see what it can do."""
    changed: dict[str, Any] = copy.deepcopy(dict(content))
    for application in changed["applications"]:
        (ingress,) = [one for one in application["deployments"] if one["name"] == "Ingress"]
        ingress["user_config"].setdefault("admission", {}).update(
            max_wait_s=PATIENT_S, overload_wait_s=PATIENT_S
        )
    return changed


def _of(content: Content, data_dir: Path) -> dict[str, Any]:
    """Of several applications each has a directory of its own."""
    several = len(content["applications"]) > 1
    applications = []
    for application in content["applications"]:
        own = data_dir / application["name"] if several else data_dir
        args = {**application["args"], "data_dir": str(own)}
        applications.append({**application, "args": args})
    return {**content, "applications": applications}
