"""A Serve file for the stand-in: any of ours, run with it, on logical GPUs."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from load_tests.stand_in.app import IMPORT_PATH
from load_tests.target import patient


def with_stand_in(content: Mapping[str, Any], **latencies: float) -> dict[str, Any]:
    """``content``, a Serve file of the service, with networks of fixed latency."""
    changed: dict[str, Any] = copy.deepcopy(dict(content))
    for application in changed["applications"]:
        application["import_path"] = IMPORT_PATH
        application["args"] = {**application.get("args", {}), "stand_in": latencies}
    return changed


def extractors(content: Mapping[str, Any], replicas: int, *, max_cost: int) -> dict[str, Any]:
    """``content`` with so many Extractor replicas, a logical GPU each."""
    changed: dict[str, Any] = copy.deepcopy(dict(content))
    (application,) = changed["applications"]
    stages = {deployment["name"]: deployment for deployment in application["deployments"]}
    stages["Extractor"] |= {
        "num_replicas": replicas,
        "ray_actor_options": {"num_cpus": 0.1, "num_gpus": 1},
        "user_config": stages["Extractor"]["user_config"] | {"max_cost": max_cost},
    }
    stages["Ingress"]["user_config"]["extractor"] |= {"slots": replicas, "max_cost": max_cost}
    return patient(changed)


def logical_gpus(count: int) -> dict[str, str]:
    """What makes Ray believe in GPUs that are not there: the environment of its head."""
    return {"RAY_OVERRIDE_RESOURCES": json.dumps({"GPU": count})}
