"""The drill's Serve files: ``configs/serve/cluster.yaml`` in small, and what upgrades change."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from load_tests.target import serve_file

Content = Mapping[str, Any]
REPLICAS = 2
CPUS = 0.1
"""Of a replica, logically: where replicas go is told by ``max_replicas_per_node``."""


def first(data_dir: Path, http_port: int) -> dict[str, Any]:
    """The service as it is before anything happens: two replicas of each stage, on two machines."""
    content = serve_file("cluster", data_dir=str(data_dir), access={})  # loopback
    content["http_options"] |= {"host": "127.0.0.1", "port": http_port}
    for stage in stages(content).values():
        stage["num_replicas"] = REPLICAS
        stage["max_replicas_per_node"] = 1
        stage["ray_actor_options"] = {"num_cpus": CPUS}
    return content


def with_code(content: Content, release: str) -> dict[str, Any]:
    """The same with other code: ``release`` is the URI of an archive that holds it."""
    changed = copy.deepcopy(dict(content))
    (application,) = changed["applications"]
    application["runtime_env"] = {"working_dir": release}
    return changed


def with_settings(content: Content) -> dict[str, Any]:
    """The same with other batches, and a replica more of the stages that hold connections or
    galleries."""
    changed = copy.deepcopy(dict(content))
    for name, stage in stages(changed).items():
        if name == "Ingress":
            stage["user_config"]["extractor"]["max_cost"] = 4
        else:
            stage["user_config"]["max_cost"] = 4
        if name in ("Ingress", "Index"):
            stage["num_replicas"] = REPLICAS + 1
    return changed


def stages(content: Content) -> dict[str, Any]:
    (application,) = content["applications"]
    return {stage["name"]: stage for stage in application["deployments"]}


def is_settled(details: Content) -> bool:
    """Of Serve's details: all that is wanted runs, nothing is on its way in or out."""
    applications = details.get("applications") or {}
    return bool(applications) and all(
        application["status"] == "RUNNING"
        and all(
            stage["status"] == "HEALTHY"
            and len(stage["replicas"]) == stage["target_num_replicas"]
            and all(replica["state"] == "RUNNING" for replica in stage["replicas"])
            for stage in application["deployments"].values()
        )
        for application in applications.values()
    )


def running(details: Content, stage: str) -> list[dict[str, Any]]:
    """What Serve's details say of the stage's replicas that run."""
    return [
        replica
        for application in (details.get("applications") or {}).values()
        for replica in application["deployments"].get(stage, {}).get("replicas", [])
        if replica["state"] == "RUNNING"
    ]
