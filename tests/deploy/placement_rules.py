"""Each stage has nodes of its own, with room for all replicas that the Serve file allows, and none
of its pods is left without one."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.deploy.pods import Pod

RESOURCES = {"num_cpus": "cpu", "num_gpus": "nvidia.com/gpu"}
"""Ray's words to Kubernetes'."""
FORGIVEN = 1e-9
"""Of sums of fractions."""


def complaints(content: Mapping[str, Any], workers: list[Pod]) -> Iterator[str]:
    fewest: dict[tuple[str, str], float] = defaultdict(float)
    highest: dict[tuple[str, str], float] = defaultdict(float)
    for stage in (one for app in content.get("applications", []) for one in app["deployments"]):
        homes = [pod for pod in workers if _is_home(pod, stage)]
        if len(homes) != 1:
            yield f"{stage['name']}: {len(homes)} worker groups have the labels it asks for"
            continue
        (home,) = homes
        least, most = replicas(stage)
        together = _together(stage, home)
        if home.least > 1 and together > 1:  # its budget then refuses every drain
            yield f"{stage['name']}: {together} of its replicas fit on one pod, another stays empty"
        if together and (least > home.least * together or most > home.most * together):
            yield f"{home.name}: its pods have too little room for {most} {stage['name']}"
        for name, resource in RESOURCES.items():
            each = _each(stage, name)
            if each > home.capacity(resource):
                yield f"{stage['name']}: a replica asks for more {resource} than a pod has"
            fewest[home.name, resource] += least * each
            highest[home.name, resource] += most * each
    for pod in workers:
        for resource in RESOURCES.values():
            one, key = pod.capacity(resource), (pod.name, resource)
            if fewest[key] > pod.least * one + FORGIVEN or highest[key] > pod.most * one + FORGIVEN:
                yield f"{pod.name}: its pods have too little {resource} for all their replicas"


def _each(stage: Mapping[str, Any], name: str) -> float:
    """What a replica asks for."""
    return float(stage["ray_actor_options"].get(name, 1 if name == "num_cpus" else 0))


def _together(stage: Mapping[str, Any], home: Pod) -> int:
    """The most replicas of the stage that one pod may get."""
    asked = {resource: _each(stage, name) for name, resource in RESOURCES.items()}
    fits = [home.capacity(one) / each + FORGIVEN for one, each in asked.items() if each]
    return int(min([*fits, stage.get("max_replicas_per_node") or sys.maxsize]))


def _is_home(pod: Pod, stage: Mapping[str, Any]) -> bool:
    selector = stage.get("ray_actor_options", {}).get("label_selector")
    return bool(selector) and selector.items() <= dict(pod.node_labels or {}).items()


def replicas(stage: Mapping[str, Any]) -> tuple[int, int]:
    """The fewest and the most."""
    if scaling := stage.get("autoscaling_config"):
        return scaling["min_replicas"], scaling["max_replicas"]
    count = int(stage.get("num_replicas") or 1)
    return count, count
