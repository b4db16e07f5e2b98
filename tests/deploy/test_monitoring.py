"""Dashboards are what their program writes, alerts are tested with promtool, and both name only
metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring.generate import DIRECTORY, contents
from serve_app.deployments.metrics import DEFINITIONS
from tests.deploy.monitoring import MONITORING, OURS, RAYS, named_metrics, rules
from tests.deploy.overlays import documents
from tests.deploy.schemas import Schemas

PROMTOOL = shutil.which("promtool")


def test_dashboards_are_what_is_generated() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in DIRECTORY.glob("*.json")}
    assert written == contents(), "run python deploy/monitoring/generate.py"


OPERATORS = {"PodMonitor", "PrometheusRule"}
"""The Prometheus operator's: its CRDs are not here, promtool reads the rules."""


def test_what_kubernetes_itself_takes(schemas: Schemas) -> None:
    found = documents("monitoring")
    assert {one["kind"] for one in found} == OPERATORS | {"ConfigMap", "CronJob"}
    for one in found:
        if one["kind"] in OPERATORS:  # else kube-prometheus-stack takes no notice of them
            assert one["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    ours = [one for one in found if one["kind"] not in OPERATORS]
    assert [line for one in ours for line in schemas.complaints(one)] == []
    (probe,) = [one for one in ours if one["kind"] == "CronJob"]
    pod = probe["spec"]["jobTemplate"]["spec"]["template"]
    assert pod["metadata"]["labels"]["face-serve/client"] == "true", (
        "the network policy asks for it"
    )
    (container,) = pod["spec"]["containers"]
    assert ":" in container["image"]
    assert container["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize("name", contents())
def test_a_dashboard_is_one_that_grafana_takes(name: str) -> None:
    dashboard = json.loads(contents()[name])
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def test_every_metric_is_defined_and_every_defined_one_is_shown() -> None:
    exported = {one.exported for one in DEFINITIONS}
    assert named_metrics() == exported | RAYS


def test_labels_are_those_of_the_metrics() -> None:
    text = "".join([*contents().values(), json.dumps(rules())]).replace('\\"', '"')
    of_metric = {one.exported: set(one.labels) for one in DEFINITIONS}
    found = re.findall(rf"({OURS}?)(?:_bucket|_sum|_count)?\{{([^}}]+)\}}", text)
    assert found
    for metric, selectors in found:
        assert set(re.findall(r"(\w+)=", selectors)) <= of_metric[metric], metric


def test_every_alert_says_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) >= 8
    for alert in alerts:
        assert alert["labels"]["severity"] in ("warning", "critical"), alert
        assert set(alert["annotations"]) == {"summary", "description"}, alert
        assert alert["for"], alert


def test_what_is_scraped_is_what_is_named() -> None:
    monitor = yaml.safe_load((MONITORING / "podmonitor.yaml").read_text(encoding="utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (kept,) = endpoint["metricRelabelings"]
    assert kept["action"] == "keep"
    for metric in named_metrics():
        assert re.fullmatch(kept["regex"], metric), metric


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here (Debian: prometheus)")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    document = yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))
    rule_file = tmp_path / "rules.yaml"
    rule_file.write_text(yaml.safe_dump(document["spec"]), encoding="utf-8")
    cases: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parent / "rules_tests.yaml").read_text(encoding="utf-8")
    )
    cases["rule_files"] = [str(rule_file)]
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(cases), encoding="utf-8")
    tested = {
        case["alertname"] for test in cases["tests"] for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }  # fmt: skip
    assert tested == {rule["alert"] for rule in rules() if "alert" in rule}
    assert PROMTOOL is not None
    for command in (["check", "rules", str(rule_file)], ["test", "rules", "tests.yaml"]):
        run = subprocess.run(
            [PROMTOOL, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not here")
def test_kustomize_builds_it() -> None:
    run = subprocess.run(
        ["kubectl", "kustomize", str(MONITORING)], capture_output=True, text=True, check=True
    )
    kinds = [document["kind"] for document in yaml.safe_load_all(run.stdout)]
    assert sorted(kinds) == ["ConfigMap", "CronJob", "PodMonitor", "PrometheusRule"]


def test_the_page_tells_of_every_metric_and_alert() -> None:
    page = (MONITORING.parents[1] / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(ray_face_serve_\w+)` \| ([\w, ]*?) ?\|", page, re.M))
    assert rows == {one.exported: ", ".join(one.labels) for one in DEFINITIONS}
    told = set(re.findall(r"^\| (FaceServe\w+)", page, re.M))
    assert told == {rule["alert"] for rule in rules() if "alert" in rule}
