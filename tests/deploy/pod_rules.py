"""What every pod keeps to, which no schema says: rights, images, endings, ports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.pods import Pod

GRACE_S = 90
"""Ray drains a node for 75 s (``deploy.generate``); the rest is for its processes to end."""

PINNED = re.compile(r"[a-z0-9./-]+:[a-zA-Z0-9_.-]*\d[a-zA-Z0-9_.-]*(@sha256:[0-9a-f]{64})?")
SECRET = re.compile(r"password|token|secret|credential|_url$|access_key", re.I)
WRITTEN = {"/tmp", "/var/lib/face-serve"}
"""Where Ray and the service write."""


def complaints(pods: list[Pod]) -> Iterator[str]:
    for pod in pods:
        for problem in _pod(pod):
            yield f"{pod.name}: {problem}"


def _pod(pod: Pod) -> Iterator[str]:
    if pod.spec.get("terminationGracePeriodSeconds", 30) < GRACE_S:
        yield f"terminationGracePeriodSeconds is below {GRACE_S}"
    if pod.group and "app.kubernetes.io/name" in pod.labels:
        yield "app.kubernetes.io/name is KubeRay's: its Service of the head would select no pod"
    rights = pod.spec.get("securityContext", {})
    if not rights.get("runAsNonRoot") or not rights.get("runAsUser"):
        yield "it may run as root"
    if rights.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    if any(pod.spec.get(one) for one in ("hostNetwork", "hostPID", "hostIPC")):
        yield "it shares the host's namespaces"
    volumes = {one["name"]: one for one in pod.spec.get("volumes", [])}
    if any("hostPath" in one for one in volumes.values()):
        yield "it mounts the host's files"
    for container in pod.containers:
        for problem in [*_container(container), *_mounts(pod, container, volumes)]:
            yield f"{container['name']}: {problem}"
    yield from _ports(pod)


def _container(container: dict[str, Any]) -> Iterator[str]:
    image = container.get("image", "")
    if not PINNED.fullmatch(image) or image.endswith(":latest"):
        yield f"image {image!r} is not pinned to a version"
    rights = container.get("securityContext", {})
    if not rights.get("readOnlyRootFilesystem"):
        yield "its root file system is not read-only"
    if rights.get("allowPrivilegeEscalation") is not False or rights.get("privileged"):
        yield "it may gain privileges"
    if rights.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "it keeps capabilities"
    if "preStop" in container.get("lifecycle", {}):
        yield "a preStop hook runs before Ray drains: `ray stop` there cuts requests off"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys() & resources["limits"].keys():
        yield "no requests and limits of cpu and memory"
    for variable in container.get("env", []):
        if SECRET.search(variable["name"]) and "value" in variable:
            yield f"{variable['name']} is written out: take it from a secret"


def _mounts(pod: Pod, container: dict[str, Any], volumes: dict[str, Any]) -> Iterator[str]:
    mounts = {one["mountPath"]: one["name"] for one in container.get("volumeMounts", [])}
    claimed = {"data"} if not pod.group else set()  # a StatefulSet's own claims
    for path, name in mounts.items():
        if name not in volumes and name not in claimed:
            yield f"{path} is of volume {name}, which there is not"
    if pod.group and not mounts.keys() >= WRITTEN:
        yield f"no volume to write to at {', '.join(sorted(WRITTEN - mounts.keys()))}"


def _ports(pod: Pod) -> Iterator[str]:
    for container in pod.spec["containers"]:
        ports = [one["containerPort"] for one in container.get("ports", [])]
        names = [one["name"] for one in container.get("ports", [])]
        if len(set(ports)) < len(ports) or len(set(names)) < len(names):
            yield "two of its ports are the same"
        probes = [name for name in ("livenessProbe", "readinessProbe") if name in container]
        if len(probes) < 2:
            yield "it has not both probes"
        for name in probes:
            action = container[name].get("httpGet") or container[name].get("tcpSocket")
            if action and action["port"] not in {*ports, *names}:
                yield f"{name} asks port {action['port']}, which the container does not have"
    if pod.group and pod.ports.get("metrics") != int(
        (pod.params or {}).get("metrics-export-port", 8080)
    ):
        yield "Ray's metrics are not at the port 'metrics' (8080, unless rayStartParams says)"
