"""The pods that manifests ask for, whatever kind asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.deploy.overlays import Document

UNITS = {"": 1.0, "m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30}


@dataclass(frozen=True, slots=True)
class Pod:
    """``group``: of Ray's workers, "head" for the head, "" for pods without Ray. ``labels``: the
    ones that it will have, KubeRay's too. ``node_labels``: what Ray schedules by."""

    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    least: int = 1
    most: int = 1
    group: str = ""
    node_labels: Mapping[str, str] | None = None
    params: Mapping[str, str] | None = None

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def main(self) -> dict[str, Any]:
        container: dict[str, Any] = self.spec["containers"][0]
        return container

    @property
    def ports(self) -> dict[str, int]:
        return {one["name"]: one["containerPort"] for one in self.main.get("ports", [])}

    def capacity(self, resource: str) -> float:
        """What Ray believes a node of this pod has: KubeRay takes it from the limits."""
        given = self.main["resources"].get("limits", {}).get(resource, 0)
        return quantity(given)

    def is_chosen_by(self, selector: Mapping[str, Any]) -> bool:
        wanted: dict[str, str] = selector.get("matchLabels", {})
        return wanted.items() <= self.labels.items()


def quantity(text: object) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", str(text))
    assert found, f"{text} is no quantity that is understood here"
    return float(found[1]) * UNITS[found[2]]


def ray_cluster(document: Document) -> dict[str, Any]:
    """The cluster inside of a RayService or RayJob."""
    spec = document["spec"]
    cluster: dict[str, Any] = spec.get("rayClusterConfig") or spec["rayClusterSpec"]
    return cluster


def pods_of(document: Document) -> Iterator[Pod]:
    if document["kind"] in ("RayService", "RayJob"):
        cluster = ray_cluster(document)
        yield _ray_pod(document, cluster["headGroupSpec"], "head")
        for group in cluster["workerGroupSpecs"]:
            yield _ray_pod(document, group, group["groupName"])
    elif document["kind"] in ("StatefulSet", "Deployment", "Job"):
        template = document["spec"]["template"]
        labels = template.get("metadata", {}).get("labels", {})
        yield Pod(document["metadata"]["name"], labels, template["spec"])


def all_pods(documents: list[Document]) -> list[Pod]:
    return [pod for document in documents for pod in pods_of(document)]


def _ray_pod(document: Document, group: Mapping[str, Any], name: str) -> Pod:
    node_labels = group.get("labels", {})
    own = {"ray.io/group": "headgroup", "ray.io/node-type": "head"}
    if name != "head":
        own = {"ray.io/group": name, "ray.io/node-type": "worker"}
    return Pod(
        name=f"{document['metadata']['name']}/{name}",
        labels=group["template"]["metadata"]["labels"] | node_labels | own,
        spec=group["template"]["spec"],
        least=group.get("minReplicas", 1),
        most=group.get("maxReplicas", 1),
        group=name,
        node_labels=node_labels,
        params=group.get("rayStartParams", {}),
    )
