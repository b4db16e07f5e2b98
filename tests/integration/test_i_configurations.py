"""The Serve files that no other test starts, in one cluster: gpu.yaml and autoscale.yaml with the
load tests' network of fixed latency on a logical GPU, laptop.yaml as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from load_tests.pictures import LABEL, small
from load_tests.stand_in.content import logical_gpus, with_stand_in
from load_tests.target import serve_file
from tests.integration.service import ROOT, Service

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(300)]

ROUTES = {"laptop": "/", "gpu": "/gpu", "autoscale": "/autoscale"}
REPLICAS = {
    "gpu": {"Ingress": 2, "Detector": 4, "Extractor": 3, "Index": 1},
    "autoscale": {"Ingress": 1, "Detector": 1, "Extractor": 1, "Index": 1},
    "laptop": {"Ingress": 1, "Detector": 1, "Extractor": 1, "Index": 1},
}


def content(data_dir: Path) -> dict[str, Any]:
    laptop = serve_file("laptop")
    quick = {"first_ms": 5.0, "face_ms": 1.0}
    gpu = with_stand_in(serve_file("gpu", pipeline="face_recognition"), **quick)
    autoscale = with_stand_in(serve_file("autoscale"), **quick)
    applications = []
    for name, file in (("laptop", laptop), ("gpu", gpu), ("autoscale", autoscale)):
        (application,) = file["applications"]
        application |= {"name": name, "route_prefix": ROUTES[name]}
        application["args"] |= {"data_dir": str(data_dir / name)}
        applications.append(application)
    for deployment in applications[2]["deployments"]:
        deployment["autoscaling_config"]["min_replicas"] = 1  # two cores are few for all three
    return laptop | {"applications": applications}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="fs-") as directory:
        environ = {"PYTHONPATH": str(ROOT), **logical_gpus(1)}
        service = Service(Path(directory), content, environ)
        service.start()
        yield service
        service.stop()


@pytest.mark.parametrize("name", REPLICAS)
def test_it_starts_with_its_replicas_and_recognises(service: Service, name: str) -> None:
    found = {stage: len(service.replicas(stage, name)) for stage in REPLICAS[name]}
    assert found == REPLICAS[name]
    route = ROUTES[name].rstrip("/")
    pair = {"image": small().base64, "label": LABEL}
    built = service.post(f"{route}/face-recognition-index-build", {"imageLabelPairs": [pair]})
    key = built.raise_for_status().json()["result"]["indexKey"]
    body = {"image": small().base64, "indexKey": key, "visualize": False}
    answer = service.post(f"{route}/face-recognition-infer", body).raise_for_status()
    (face,) = answer.json()["result"]["faces"]
    assert face["recResults"][0]["label"] == LABEL
