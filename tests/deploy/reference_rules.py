"""What one object says of another: configuration, secrets, claims, ports, selectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.deploy.overlays import ROOT, Document, of_kind
from tests.deploy.pods import Pod, all_pods

ELSEWHERE = {"job": {"face-serve-snapshots"}}
"""Claims that another of the applied directories brings."""


def documented_secrets() -> dict[str, set[str]]:
    """Name to keys, from the table of docs/kubernetes.md: who applies the manifests makes them."""
    text = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ *\| `(face-serve-[a-z-]+)` \| ([^|]+) \|", text, re.M)
    return {name: set(re.findall(r"`([\w]+)`", keys)) for name, keys in rows}


def complaints(name: str, documents: list[Document]) -> Iterator[str]:
    pods = all_pods(documents)
    for pod in pods:
        for problem in [
            *_configuration(pod, documents),
            *_secrets(pod),
            *_claims(pod, name, documents),
        ]:
            yield f"{pod.name}: {problem}"
    yield from _cluster_secrets(documents)
    yield from _services(documents, pods)
    yield from _policies(documents, pods, name)
    yield from _budgets(documents, pods)


def _configuration(pod: Pod, documents: list[Document]) -> Iterator[str]:
    there = {one["metadata"]["name"] for one in of_kind(documents, "ConfigMap")}
    asked = [one["configMapRef"]["name"] for one in _from(pod) if "configMapRef" in one]
    asked += [one["configMap"]["name"] for one in pod.spec.get("volumes", []) if "configMap" in one]
    yield from (f"there is no ConfigMap {one}" for one in asked if one not in there)


def _secrets(pod: Pod) -> Iterator[str]:
    known = documented_secrets()
    for variable in (one for container in pod.containers for one in container.get("env", [])):
        if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
            yield from _unknown(reference, known)
    for one in _from(pod):
        if "secretRef" in one and one["secretRef"]["name"] not in known:
            yield f"secret {one['secretRef']['name']} is not in docs/kubernetes.md"


def _cluster_secrets(documents: list[Document]) -> Iterator[str]:
    known = documented_secrets()
    for document in documents:
        for reference in _find(document, "secretKeyRef"):
            yield from _unknown(reference, known)
        for options in _find(document, "authOptions"):
            yield from _unknown({"name": options.get("secretName"), "key": "auth_token"}, known)


def _unknown(reference: dict[str, Any], known: dict[str, set[str]]) -> Iterator[str]:
    name, key = reference.get("name"), reference.get("key")
    if name not in known:
        yield f"secret {name} is not in docs/kubernetes.md"
    elif key not in known[name]:
        yield f"secret {name} has no key {key} in docs/kubernetes.md"


def _claims(pod: Pod, name: str, documents: list[Document]) -> Iterator[str]:
    there = {one["metadata"]["name"] for one in of_kind(documents, "PersistentVolumeClaim")}
    there |= ELSEWHERE.get(name, set())
    for volume in pod.spec.get("volumes", []):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim and claim not in there:
            yield f"there is no PersistentVolumeClaim {claim}"


def _services(documents: list[Document], pods: list[Pod]) -> Iterator[str]:
    for service in of_kind(documents, "Service"):
        chosen = [
            pod for pod in pods if pod.is_chosen_by({"matchLabels": service["spec"]["selector"]})
        ]
        name = service["metadata"]["name"]
        if not chosen:
            yield f"Service {name} selects no pod"
        for port in service["spec"]["ports"]:
            target = port.get("targetPort", port["port"])
            if any(target not in {*pod.ports, *pod.ports.values()} for pod in chosen):
                yield f"Service {name} sends to port {target}, which its pods do not have"


def _policies(documents: list[Document], pods: list[Pod], name: str) -> Iterator[str]:
    policies = of_kind(documents, "NetworkPolicy")
    for policy in policies:
        chosen = [pod for pod in pods if pod.is_chosen_by(policy["spec"]["podSelector"])]
        if not chosen:
            yield f"NetworkPolicy {policy['metadata']['name']} selects no pod"
        open_ports = {
            port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])
        }
        for port in open_ports - {port for pod in chosen for port in pod.ports.values()}:
            yield f"NetworkPolicy {policy['metadata']['name']} opens {port}, where nobody listens"
        if not _asks_node_local_dns(policy):
            yield f"NetworkPolicy {policy['metadata']['name']} keeps NodeLocal DNSCache out"
    selectors = [policy["spec"]["podSelector"] for policy in policies]
    if name == "job":  # the service's covers it: the same label
        selectors = [{"matchLabels": {"face-serve/part": "service"}}]
    for pod in pods:
        if not any(pod.is_chosen_by(selector) for selector in selectors):
            yield f"{pod.name}: no NetworkPolicy covers it"


def _asks_node_local_dns(policy: Document) -> bool:
    """Its address is link-local, which no selector matches. True where nothing goes out at all."""
    rules = policy["spec"].get("egress")
    return not rules or any(
        {"port": 53, "protocol": "UDP"} in rule.get("ports", [])
        and {"ipBlock": {"cidr": "169.254.0.0/16"}} in rule["to"]
        for rule in rules
    )


def _budgets(documents: list[Document], pods: list[Pod]) -> Iterator[str]:
    budgets = of_kind(documents, "PodDisruptionBudget")
    for budget in budgets:
        name, spec = budget["metadata"]["name"], budget["spec"]
        chosen = [pod for pod in pods if pod.is_chosen_by(spec["selector"])]
        if not chosen:
            yield f"PodDisruptionBudget {name} selects no pod"
        least = spec.get("minAvailable")
        if not isinstance(least, int) or "maxUnavailable" in spec:
            yield f"PodDisruptionBudget {name}: only an integer minAvailable counts for Ray's pods"
        elif chosen and least >= sum(pod.least for pod in chosen):
            yield f"PodDisruptionBudget {name} never lets a node be drained"
    for pod in pods:
        if sum(pod.is_chosen_by(one["spec"]["selector"]) for one in budgets) > 1:
            yield f"{pod.name}: two PodDisruptionBudgets cover it, so that it can't be evicted"
        serves = pod.labels.get("app.kubernetes.io/component") == "worker"
        covered = any(pod.is_chosen_by(one["spec"]["selector"]) for one in budgets)
        if serves and pod.least > 1 and not covered:
            yield f"{pod.name}: no PodDisruptionBudget covers it"


def _from(pod: Pod) -> list[dict[str, Any]]:
    return [one for container in pod.containers for one in container.get("envFrom", [])]


def _find(value: Any, key: str) -> Iterator[dict[str, Any]]:
    """Every mapping under ``key``, however deep."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == key and isinstance(one, dict):
                yield one
            yield from _find(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _find(one, key)
