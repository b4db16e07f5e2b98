"""What Ray, Serve and KubeRay's operator ask of a RayService or RayJob beyond the CRD's schema."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from deploy.generate import IN_IMAGE
from serve_app.config import Limits, parse_service_args
from serve_app.deployments.serve_file import serve_file_mistakes
from serve_app.errors import ConfigError
from serve_app.index.store.postgres import CONNECTIONS
from tests.deploy import placement_rules
from tests.deploy.overlays import ROOT, Document, of_kind
from tests.deploy.pods import Pod, pods_of, ray_cluster

NEEDED = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(256 * 2**20),
    "RAY_AUTH_MODE": "token",
    "RAY_ROTATION_MAX_BYTES": str(100 * 2**20),
}

STRATEGIES = ("NewCluster", "NewClusterWithIncrementalUpgrade", "None")
"""The CRD takes any text here; KubeRay's operator does not."""


def complaints(documents: list[Document]) -> Iterator[str]:
    for document in documents:
        if document["kind"] in ("RayService", "RayJob"):
            for problem in _cluster(document, documents):
                yield f"{document['metadata']['name']}: {problem}"
    for service in of_kind(documents, "RayService"):
        yield from _upgrade(service["spec"])
        yield from serve_complaints(service["spec"].get("serveConfigV2", ""))
        content = _content(service["spec"].get("serveConfigV2", ""))
        yield from placement_rules.complaints(content, list(pods_of(service))[1:])
        yield from _http(content, list(pods_of(service)))
        yield from _database(content, documents)
        yield from _drain(content, next(pods_of(service)), documents)
    for job in of_kind(documents, "RayJob"):
        yield from _bulk_job(job, documents)


def serve_complaints(text: str) -> list[str]:
    """What Ray's schema and the service's own checks say of a Serve file. The image's paths are the
    repository's here."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "serveConfigV2.yaml"
        file.write_text(text.replace(IN_IMAGE, str(ROOT)), encoding="utf-8")
        try:
            return serve_file_mistakes(file)
        except ConfigError as error:
            return [str(error)]


def _content(text: str) -> dict[str, Any]:
    content = yaml.safe_load(text)
    return content if isinstance(content, dict) else {}


def _cluster(document: Document, documents: list[Document]) -> Iterator[str]:
    cluster, pods = ray_cluster(document), list(pods_of(document))
    if cluster.get("rayVersion") != version("ray"):
        yield f"rayVersion {cluster.get('rayVersion')} is not the locked {version('ray')}"
    if cluster.get("authOptions", {}).get("mode") != "token":
        yield "authOptions.mode is not token"
    if (pods[0].params or {}).get("num-cpus") != "0":
        yield "the head takes replicas: num-cpus must be '0'"
    for pod in pods:
        if environment(pod, documents) != environment(pods[0], documents):
            yield f"the environment of {pod.name} is not the head's"
    given = environment(pods[0], documents)
    yield from (
        f"{name} is not {value}" for name, value in NEEDED.items() if given.get(name) != value
    )
    if len({container.get("image") for pod in pods for container in pod.containers}) > 1:
        yield "its pods have different images"
    if cluster.get("gcsFaultToleranceOptions", {}).get("externalStorageNamespace"):
        yield "externalStorageNamespace: the next cluster would read this one's state"
    if cluster.get("enableInTreeAutoscaling"):
        if cluster.get("autoscalerOptions", {}).get("version") != "v2":
            yield "autoscalerOptions.version is not v2"
        if any(pod.spec.get("restartPolicy", "Never") != "Never" for pod in pods):
            yield "restartPolicy must be Never or left out with autoscaler v2"
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        if (
            group.get("resources")
            and {"num-cpus", "num-gpus", "memory", "resources"} & group["rayStartParams"].keys()
        ):
            yield "resources both in a group and in its rayStartParams"
        if "labels" in group.get("rayStartParams", {}):
            yield "labels in rayStartParams: KubeRay takes them from the group alone"
    for pod in pods[1:]:
        if pod.least > pod.most:
            yield f"{pod.name}: minReplicas is above maxReplicas"


def environment(pod: Pod, documents: list[Document]) -> dict[str, str]:
    """Of its Ray container, as far as it is not secret."""
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(documents, "ConfigMap")}
    found: dict[str, str] = {}
    for one in pod.main.get("envFrom", []):
        found |= maps.get(one.get("configMapRef", {}).get("name"), {})
    return found | {
        one["name"]: str(one.get("value", one.get("valueFrom"))) for one in pod.main.get("env", [])
    }


def _upgrade(spec: Mapping[str, Any]) -> Iterator[str]:
    strategy = spec.get("upgradeStrategy", {})
    if strategy.get("type", "NewCluster") not in STRATEGIES:
        yield f"upgradeStrategy.type {strategy['type']} is none of {', '.join(STRATEGIES)}"
    if strategy.get("type") == "NewClusterWithIncrementalUpgrade":
        options = strategy.get("clusterUpgradeOptions", {})
        if not spec["rayClusterConfig"].get("enableInTreeAutoscaling"):
            yield "an incremental upgrade needs enableInTreeAutoscaling"
        if options.get("stepSizePercent", 101) > options.get("maxSurgePercent", 100):
            yield "stepSizePercent is above maxSurgePercent"
        if options.get("intervalSeconds", 0) <= 0 or not options.get("gatewayClassName"):
            yield "an incremental upgrade needs intervalSeconds and gatewayClassName"
    timeout = (
        _content(spec.get("serveConfigV2", "")).get("http_options", {}).get("request_timeout_s", 0)
    )
    if spec.get("rayClusterDeletionDelaySeconds", 60) <= timeout:
        yield "rayClusterDeletionDelaySeconds: requests of the old cluster may take longer"


def _database(content: Mapping[str, Any], documents: list[Document]) -> Iterator[str]:
    """All pods work on one, which has connections for two clusters, as in an upgrade."""
    asked = 0
    for application in content["applications"]:
        if application["args"].get("database_url") != "env:FACE_SERVE_DATABASE_URL":
            yield "args.database_url: a pod without the variable would have galleries of its own"
        stages = [one for one in application["deployments"] if one["name"].startswith("Index")]
        asked += sum(2 * CONNECTIONS * placement_rules.replicas(one)[1] for one in stages)
    for server in of_kind(documents, "StatefulSet"):
        container = server["spec"]["template"]["spec"]["containers"][0]
        if container["name"] == "postgres":
            given = re.search(r"max_connections=(\d+)", " ".join(container.get("args", [])))
            if int(given[1] if given else 100) <= asked:
                yield f"max_connections of PostgreSQL is not above {asked}"


def _drain(content: Mapping[str, Any], head: Pod, documents: list[Document]) -> Iterator[str]:
    """A pod that ends: what its replicas have under way is finished, Ray ends before Kubernetes
    kills it."""
    (application,) = content["applications"]
    limits = application["args"].get("limits", {})
    timeout = limits.get("request_timeout_s", Limits().request_timeout_s)
    drain = float(environment(head, documents).get("RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", 30))
    if not timeout < drain < head.spec["terminationGracePeriodSeconds"]:
        yield "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S is not between a request's and a pod's time"


def _http(content: Mapping[str, Any], pods: list[Pod]) -> Iterator[str]:
    http = content.get("http_options", {})
    if content.get("proxy_location") != "EveryNode" or http.get("host") != "0.0.0.0":
        yield "serveConfigV2: its proxies can't be reached from other pods"
    for pod in pods:
        if pod.ports.get("serve") != http.get("port"):
            yield f"{pod.name}: port 'serve' is not http_options.port of serveConfigV2"


def _bulk_job(job: Document, documents: list[Document]) -> Iterator[str]:
    """Its Serve file is there, is right, and asks for no more than the cluster has."""
    head, *workers = pods_of(job)
    words = job["spec"].get("entrypoint", "").split()
    if words[:1] != ["face-serve-job"]:
        yield "the entrypoint is not face-serve-job"
    file = Path(words[words.index("--config") + 1]) if "--config" in words else Path("none")
    mounts = {one["mountPath"]: one["name"] for one in head.main["volumeMounts"]}
    volumes = {one["name"]: one.get("configMap", {}).get("name") for one in head.spec["volumes"]}
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(documents, "ConfigMap")}
    text = maps.get(volumes.get(mounts.get(str(file.parent), "")), {}).get(file.name)
    if text is None:
        yield f"no ConfigMap is mounted that has {file}"
        return
    yield from serve_complaints(text)
    jobs = parse_service_args(_content(text)["applications"][0]["args"]).jobs
    if (jobs.detectors + jobs.extractors) * jobs.cpus > sum(
        one.least * one.capacity("cpu") for one in workers
    ):
        yield "the job's actors find too little room"
    ending = job["spec"]
    if ending.get("ttlSecondsAfterFinished") and not ending.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished without shutdownAfterJobFinishes"
