"""The service as a user runs it: ``face-serve serve`` in a process of its own, on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from serve_app.deployments.environment import free_port, is_free
from tests.conformance.replay import PIPELINE

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 150


class Service:
    """Starts, stops and restarts it; ``directory`` must be a short path (Ray's unix sockets)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self.ports = {name: free_port() for name in ("http", "metrics", "stats", "fallback")}
        self.url = f"http://127.0.0.1:{self.ports['http']}"
        self.log = directory / "service.log"
        self.seconds_to_ready = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.directory / "serve.yaml"
        config.write_text(yaml.safe_dump(serve_file(self.data_dir)), encoding="utf-8")
        command = [
            str(Path(sys.executable).parent / "face-serve"), "serve", "--config", str(config),
            "--port", str(self.ports["http"]),
        ]  # fmt: skip
        started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment(), cwd=self.directory, stdout=log, stderr=log
            )
        while "face-serve is ready at" not in self._output_since_start():
            if self._process.poll() is not None or time.monotonic() - started > START_TIMEOUT_S:
                self.stop()
                raise AssertionError(f"not ready: {self.log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.1)
        self.seconds_to_ready = time.monotonic() - started

    def stop(self) -> None:
        """As Ctrl-C does; kills what is left by its own process id only."""
        if self._process is None:
            return
        family = self.processes()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        finally:
            _, alive = psutil.wait_procs(family, timeout=10)
            for process in alive:
                process.kill()
            self._process = None
        self.left_behind = [process.pid for process in alive]

    def processes(self) -> list[psutil.Process]:
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def replicas(self, deployment: str) -> list[psutil.Process]:
        wanted = f"ServeReplica:face:{deployment}"
        return [process for process in self.processes() if wanted in " ".join(process.cmdline())]

    def is_closed(self) -> bool:
        return all(is_free(port) for port in self.ports.values())

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=120, trust_env=False)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_TMPDIR": str(self.directory),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(self.ports["metrics"]),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(self.ports["stats"]),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(self.ports["fallback"]),
        }

    def _output_since_start(self) -> str:
        return self.log.read_text(encoding="utf-8").rpartition("stopping")[2]


def serve_file(data_dir: Path) -> dict[str, Any]:
    """configs/serve/local.yaml twice over: the embedded models at /, PaddleX's stand-ins beside."""
    text = (ROOT / "configs/serve/local.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    (face,) = content["applications"]
    stand_ins = yaml.safe_load(text)["applications"][0]
    face["args"]["data_dir"] = str(data_dir)
    stand_ins |= {"name": "paddlex", "route_prefix": "/paddlex"}
    stand_ins["args"] = {"pipeline": str(PIPELINE), "data_dir": str(data_dir / "paddlex")}
    content["applications"] = [face, stand_ins]
    return content
