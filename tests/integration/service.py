"""The service as a user runs it: ``face-serve serve`` in a process of its own, on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from serve_app.config import index_names
from serve_app.deployments.environment import free_port, is_free
from tests.conformance.replay import PIPELINE

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 150


class Service:
    """Starts, stops and restarts it; ``directory`` must be a short path (Ray's unix sockets)."""

    def __init__(
        self,
        directory: Path,
        content: Callable[[Path], dict[str, Any]] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._content = content or serve_file
        self._environ = environ or {}
        self.data_dir = directory / "data"
        self._choose_ports()
        self.log = directory / "service.log"
        self.seconds_to_ready = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.left_behind: list[int] = []

    def start(self) -> None:
        """Ready when it returns. A port that was free may be taken by the time it is bound, by one
        of another cluster's many processes: then others are chosen, twice at most."""
        for _ in range(3):
            if self._started():
                return
            self._process = None
            self._choose_ports()
        raise AssertionError(f"not ready: {self.log.read_text(encoding='utf-8')[-2000:]}")

    def _choose_ports(self) -> None:
        self.ports = {name: free_port() for name in ("http", "metrics", "stats", "fallback")}
        self.url = f"http://127.0.0.1:{self.ports['http']}"

    def _started(self) -> bool:
        """False if it ended by itself."""
        config = self.directory / "serve.yaml"
        config.write_text(yaml.safe_dump(self._content(self.data_dir)), encoding="utf-8")
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
            if self._process.poll() is not None:
                return False
            if time.monotonic() - started > START_TIMEOUT_S:
                self.stop()
                raise AssertionError(f"not ready: {self.log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.1)
        self.seconds_to_ready = time.monotonic() - started
        return True

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
            self._process.kill()  # itself too, where it did not end in time
            self._process.wait()
            self._process = None
        self.left_behind = [process.pid for process in alive]

    def all_processes(self) -> list[psutil.Process]:
        """The command's own too."""
        assert self._process is not None
        return [psutil.Process(self._process.pid), *self.processes()]

    def processes(self) -> list[psutil.Process]:
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def replicas(self, deployment: str, application: str = "face") -> list[psutil.Process]:
        wanted = f"ServeReplica:{application}:{deployment}"
        return [process for process in self.processes() if wanted in " ".join(process.cmdline())]

    def is_closed(self) -> bool:
        return all(is_free(port) for port in self.ports.values())

    def post(
        self, path: str, body: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return httpx.post(self.url + path, json=body, headers=headers, timeout=120, trust_env=False)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, timeout=60, trust_env=False)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self._environ,
            "RAY_AUTH_MODE": "token",
            "RAY_TMPDIR": str(self.directory),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(self.ports["metrics"]),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(self.ports["stats"]),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(self.ports["fallback"]),
        }

    def _output_since_start(self) -> str:
        return self.log.read_text(encoding="utf-8").rpartition("stopping")[2]


def small_cluster(data_dir: Path, *, shards: int = 1) -> dict[str, Any]:
    """configs/serve/cluster.yaml with PaddleX's stand-ins on this machine: two replicas of each
    Index deployment, one of the others; indexes are built and swapped all the time."""
    text = (ROOT / "configs/serve/cluster.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    content["proxy_location"] = "HeadOnly"
    content["http_options"]["host"] = "127.0.0.1"
    (face,) = content["applications"]
    face["args"] |= {"pipeline": str(PIPELINE), "data_dir": str(data_dir), "shards": shards}
    face["args"]["access"] = {}
    face["args"]["index"] = {"exact_until": 20, "upkeep_s": 1}
    for elsewhere in ("snapshots", "database_url"):
        face["args"].pop(elsewhere)
    (index,) = [one for one in face["deployments"] if one["name"] == "Index"]
    face["deployments"].remove(index)
    for one in face["deployments"]:
        one["num_replicas"] = 1
    for name in index_names(shards):
        face["deployments"].append({**index, "name": name})
    for one in face["deployments"]:
        one["ray_actor_options"] = {"num_cpus": 0.1}
    return content


def serve_file(data_dir: Path) -> dict[str, Any]:
    """configs/serve/local.yaml twice over: the embedded models at /, PaddleX's stand-ins beside."""
    text = (ROOT / "configs/serve/local.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    (face,) = content["applications"]
    stand_ins = yaml.safe_load(text)["applications"][0]
    face["args"]["data_dir"] = str(data_dir)
    face["args"]["jobs"] = {"inputs": [str(data_dir.parent / "inputs")]}
    stand_ins |= {"name": "paddlex", "route_prefix": "/paddlex"}
    stand_ins["args"] = {
        "pipeline": str(PIPELINE),
        "data_dir": str(data_dir / "paddlex"),
        # Only what comes with a sampled traceparent is traced.
        "observability": {
            "metrics": {"interval_s": 1},
            "request_log": True,
            "tracing": {"exporter": "file", "path": str(data_dir / "traces"), "sample_ratio": 0},
        },
    }
    # Everybody is let in there, however many come at once.
    (ingress,) = [one for one in stand_ins["deployments"] if one["name"] == "Ingress"]
    ingress["user_config"]["admission"] |= {"max_wait_s": 600, "overload_wait_s": 600}
    content["applications"] = [face, stand_ins]
    return content
