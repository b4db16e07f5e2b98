"""What the overlays of deploy/ serve, in one cluster: cpu (autoscale.yaml) and gpu (gpu.yaml) with
the load tests' network of fixed latency on a logical GPU, dev (laptop.yaml) as it is. Replicas go
to nodes with the labels of the worker groups: here one node has them all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from load_tests.pictures import LABEL, small
from load_tests.stand_in.content import logical_gpus, with_stand_in
from tests.deploy.overlays import documents, of_kind
from tests.integration.service import ROOT, Service
from tests.integration.tutorial import MISSING, SHARED, run_tutorial_client

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(300)]

ROUTES = {"dev": "/", "gpu": "/gpu", "cpu": "/cpu"}
REPLICAS = {
    "gpu": {"Ingress": 2, "Detector": 4, "Extractor": 3, "Index": 1},
    "cpu": {"Ingress": 1, "Detector": 1, "Extractor": 1, "Index": 1},
    "dev": {"Ingress": 1, "Detector": 1, "Extractor": 1, "Index": 1},
}
STAGES = ("ingress", "detector", "extractor", "index")
LABELS = {"RAY_OVERRIDE_LABELS": json.dumps({f"face-serve/{stage}": "true" for stage in STAGES})}


def served(overlay: str) -> dict[str, Any]:
    (service,) = of_kind(documents(overlay), "RayService")
    content: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])
    return content


def content(data_dir: Path) -> dict[str, Any]:
    """All three on this machine: other directories and routes, loopback, no device."""
    quick = {"first_ms": 5.0, "face_ms": 1.0}
    files = {
        "dev": served("dev"),
        "gpu": with_stand_in(served("gpu"), **quick),
        "cpu": with_stand_in(served("cpu"), **quick),
    }
    applications = []
    for name, file in files.items():
        (application,) = file["applications"]
        application |= {"name": name, "route_prefix": ROUTES[name]}
        application["args"] |= {"data_dir": str(data_dir / name), "pipeline": "face_recognition"}
        application["args"]["access"] = {}  # keys: test_p_access
        del application["args"]["database_url"]  # each has a SQLite file of its own there
        applications.append(application)
    for deployment in applications[2]["deployments"]:
        deployment["autoscaling_config"]["min_replicas"] = 1  # two cores are few for all three
    http = files["dev"]["http_options"] | {"host": "127.0.0.1"}
    return files["dev"] | {"http_options": http, "applications": applications}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="fs-") as directory:
        environ = {"PYTHONPATH": str(ROOT), **LABELS, **logical_gpus(1)}
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


@pytest.mark.skipif(not SHARED.exists(), reason=MISSING)
@pytest.mark.parametrize("name", REPLICAS)
def test_the_tutorials_client_is_answered(service: Service, name: str, tmp_path: Path) -> None:
    output = run_tutorial_client(service.url + ROUTES[name].rstrip("/"), tmp_path)
    assert "Number of images indexed: 3\nNumber of images indexed: 4" in output
    assert "'recResults'" in output


@pytest.mark.parametrize("overlay", ["postgres", "incremental-upgrade"])
def test_other_overlays_serve_what_cpu_does(overlay: str) -> None:
    assert served(overlay) == served("cpu")
