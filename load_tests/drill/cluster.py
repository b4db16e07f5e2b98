"""A Ray cluster of several machines, simulated on this one: started, deployed to, and broken.

Each machine is a node of ``ray.cluster_utils.Cluster`` with a proxy, ports and files of its own.
Importing this imports Ray, which reads its environment: set ``node_environment`` first.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import port_for
import psutil
from ray.cluster_utils import Cluster
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from load_tests.drill.node_environment import Ports, node_environment
from load_tests.drill.processes import kill, named, trees
from load_tests.drill.redis import RedisServer

OBJECT_STORE_BYTES = 128 * 1024 * 1024
WORKER_CPUS = 8
"""Logical: what the Serve file asks for is not what this machine has."""


@dataclass(frozen=True, slots=True)
class Machine:
    """``node``: Ray's. ``url``: of its proxy."""

    node: Any
    url: str

    def processes(self) -> list[psutil.Process]:
        pids = [one.process.pid for kind in self.node.all_processes.values() for one in kind]
        return trees(pids)


class SimulatedCluster:
    """A head that runs no replica, and workers. ``redis`` keeps what a head must not lose."""

    def __init__(
        self,
        directory: Path,
        *,
        workers: int,
        redis: RedisServer,
        replica_ports: int,
        environ: Mapping[str, str],
    ) -> None:
        """``directory``: a short path (unix sockets lie in it). ``replica_ports``: the first of a
        range that no other cluster on this machine has."""
        directory.mkdir()
        self._directory = directory
        self._redis = redis
        self._environ = environ
        self._replica_ports = replica_ports
        self._gcs_port = port_for.select_random()
        self._dashboard_port = port_for.select_random()
        self._head_ports = self._ports()
        self._cluster = Cluster(shutdown_at_exit=False)
        self.head = self._start_head()
        self.workers = [self._start_worker() for _ in range(workers)]

    @property
    def machines(self) -> list[Machine]:
        return [self.head, *self.workers]

    @property
    def http_port(self) -> int:
        """Of the head's proxy: what the Serve file has to say."""
        return self._head_ports.http

    def deploy(self, content: Mapping[str, Any]) -> None:
        """As ``serve deploy`` does it; returns at once."""
        self._serve().deploy_applications(dict(content))

    def wait_until(self, condition: Callable[[Mapping[str, Any]], bool], timeout_s: float) -> None:
        """Until Serve's details fulfil ``condition``. Raises TimeoutError with what they say."""
        deadline = time.monotonic() + timeout_s
        details: Mapping[str, Any] = {}
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):  # the head may be on its way
                details = self.details()
                if condition(details):
                    return
            time.sleep(0.5)
        raise TimeoutError(f"not settled in {timeout_s:.0f} s: {told(details)}")

    def details(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._serve().get_serve_details()
        return found

    def replicas(self, deployment: str) -> list[psutil.Process]:
        return named(self._all(), f"ServeReplica:face:{deployment}")

    def controller(self) -> psutil.Process:
        (found,) = named(self._all(), "ServeController")
        return found

    def kill_worker(self, machine: Machine) -> None:
        """As when its power goes: all of its processes at once."""
        self.workers.remove(machine)
        self._kill(machine)

    def add_worker(self) -> None:
        self.workers.append(self._start_worker())

    def kill_head(self) -> None:
        self._kill(self.head)

    def restart_head(self) -> None:
        """On the same address, with what Redis has kept."""
        self.head = self._start_head()

    def close(self) -> None:
        """Everything at once: the drill is over, nobody waits for a graceful end."""
        kill(self._all())

    def _kill(self, machine: Machine) -> None:
        kill(machine.processes())
        self._cluster.remove_node(machine.node, allow_graceful=False)

    def _all(self) -> list[psutil.Process]:
        return [process for machine in self.machines for process in machine.processes()]

    def _serve(self) -> ServeSubmissionClient:
        return ServeSubmissionClient(f"http://127.0.0.1:{self._dashboard_port}")

    def _ports(self) -> Ports:
        return Ports.chosen(port_for.select_random, self._replica_ports)

    def _start_head(self) -> Machine:
        redis = {"RAY_REDIS_ADDRESS": self._redis.address}
        with self._environment(self._head_ports, redis):
            node = self._cluster.add_node(
                num_cpus=0,
                object_store_memory=OBJECT_STORE_BYTES,
                redis_password=self._redis.password,
                gcs_server_port=self._gcs_port,
                node_ip_address="127.0.0.1",
                include_dashboard=True,
                dashboard_port=self._dashboard_port,
                dashboard_agent_listen_port=port_for.select_random(),
                temp_dir=str(self._directory),
                no_monitor=True,  # nobody scales here
            )
        return Machine(node, f"http://127.0.0.1:{self._head_ports.http}")

    def _start_worker(self) -> Machine:
        ports = self._ports()
        with self._environment(ports, {}):
            node = self._cluster.add_node(
                num_cpus=WORKER_CPUS,
                object_store_memory=OBJECT_STORE_BYTES,
                node_ip_address="127.0.0.1",
                dashboard_agent_listen_port=port_for.select_random(),
                temp_dir=str(self._directory),
            )
        return Machine(node, f"http://127.0.0.1:{ports.http}")

    @contextlib.contextmanager
    def _environment(self, ports: Ports, more: Mapping[str, str]) -> Iterator[None]:
        """Ray's processes inherit it; Ray itself looks into it. So they do the directory, which
        Ray puts before all others where Python looks for code: it must hold none."""
        before = dict(os.environ)
        os.environ.update({**self._environ, **node_environment(ports), **more})
        try:
            with contextlib.chdir(self._directory):
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def told(details: Mapping[str, Any]) -> str:
    """Statuses of Serve's details, in one line."""
    lines = []
    for name, application in (details.get("applications") or {}).items():
        stages = application.get("deployments", {})
        lines.append(f"{name} {application.get('status')} {application.get('message', '')}")
        lines += [f"{stage} {one['status']} {one['message']}" for stage, one in stages.items()]
    return "; ".join(lines) or "no application"
