"""What a running service tells of itself: metrics, traces, request log, readiness, the probe."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cli.processes import run
from tests.deploy.monitoring import named_metrics
from tests.integration.exporter import exported
from tests.integration.service import Service
from tests.integration.test_a_service import portrait

INFER = "/face-recognition-infer"
STAND_INS = "/paddlex"
LABEL, KEY = "Eileen-Observed", "key-of-the-observed"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def asked(service: Service) -> dict[str, Any]:
    """Requests that leave something in every metric. What an infer request was."""
    image = base64.b64encode(portrait()).decode()
    pair = {"image": image, "label": LABEL}
    for route in ("", STAND_INS):
        built = service.post(
            f"{route}/face-recognition-index-build", {"imageLabelPairs": [pair], "indexKey": KEY}
        )
        assert built.status_code == 200
    body = {"image": image, "indexKey": KEY, "logId": "observed"}
    for route in ("", STAND_INS):
        assert service.post(route + INFER, body).status_code == 200
        assert service.post(route + INFER, body | {"indexKey": "nobody"}).status_code == 404

    def hurried(_: int) -> int:
        return service.post(STAND_INS + INFER, body, {"Request-Timeout": "0.05"}).status_code

    with ThreadPoolExecutor(32) as clients:
        assert 504 in set(clients.map(hurried, range(96)))  # dropped in a queue
    return body


def eventually(found: Callable[[], bool], within_s: float, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, what()
        time.sleep(1)


@pytest.mark.timeout(240)
def test_every_metric_of_rules_and_dashboards_is_there(
    service: Service, asked: dict[str, Any]
) -> None:
    def missing() -> set[str]:
        names = set(re.findall(r"^(ray_\w+?)(?:_bucket|_sum|_count)?\{", exported(service), re.M))
        return named_metrics() - names

    eventually(lambda: not missing(), 120, missing)
    ours = [line for line in exported(service).splitlines() if line.startswith("ray_face_serve")]
    assert not [line for line in ours if LABEL in line or KEY in line or "nobody" in line]
    routes = {found[1] for line in ours if (found := re.search(r'route="([^"]*)"', line))}
    assert INFER in routes
    own = ("/v1/", "/face-rec", "/docs", "/openapi.json", "/health", "/ready")
    assert {route for route in routes if not route.startswith(own)} <= {"other"}
    controllers = re.findall(r'Component="(ray::ServeController[^"]*)"', exported(service))
    assert controllers, "the controller's memory is known by another name"


@pytest.mark.timeout(120)
def test_a_trace_goes_through_the_stages(service: Service, asked: dict[str, Any]) -> None:
    reply = service.post(STAND_INS + INFER, asked, {"traceparent": TRACEPARENT})
    assert reply.status_code == 200

    def spans() -> list[dict[str, Any]]:
        files = (service.data_dir / "traces").glob("spans-*.jsonl")
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        return list(map(json.loads, lines))

    wanted = {
        f"POST {INFER}", "queue", "draw", "detector call", "extractor call", "index call",
        "decode", "detect", "extract", "search", "batch",
    }  # fmt: skip

    def names() -> set[str]:
        return {span["name"] for span in spans()}

    eventually(lambda: names() >= wanted, 60, names)
    found = spans()
    by_id = {span["context"]["span_id"]: span for span in found}
    for span in found:
        assert span["context"]["trace_id"] == f"0x{TRACE}"
        assert span["parent_id"] in by_id or span["name"] == f"POST {INFER}"
    for inner, outer in (("detect", "detector call"), ("search", "index call")):
        (span,) = [one for one in found if one["name"] == inner][-1:]
        assert by_id[span["parent_id"]]["name"] == outer
    assert all(span["links"] for span in found if span["name"] == "batch")
    text = json.dumps(found)
    for private in (LABEL, KEY, "127.0.0.1", str(service.directory), asked["image"][:40]):
        assert private not in text


@pytest.mark.timeout(120)
def test_a_line_for_each_answer(service: Service, asked: dict[str, Any]) -> None:
    logs = list(service.directory.glob("**/logs/worker-*.out"))
    assert logs, "Ray's logs are elsewhere"

    def lines() -> list[dict[str, Any]]:
        text = "".join(log.read_text(encoding="utf-8", errors="replace") for log in set(logs))
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"time":')]

    eventually(lambda: bool(lines()), 30, lambda: logs)
    mine = [line for line in lines() if line["logId"] == "observed"]
    assert {line["status"] for line in mine} >= {200, 404}
    (answered, *_) = [line for line in mine if line["status"] == 200]
    assert answered["route"] == INFER
    assert {"decode", "detect", "extract", "search"} <= set(answered["stagesMs"])
    assert 0 < answered["durationMs"] < 60_000
    assert not [line for line in lines() if LABEL in str(line) or KEY in str(line)]


def test_ready_says_so_of_each_stage(service: Service) -> None:
    answer = service.get("/ready")
    assert answer.status_code == 200
    stages = answer.json()["result"]["stages"]
    assert stages == dict.fromkeys(("detector", "extractor", "index", "store"), "ready")


def test_the_probe_goes_through_the_service(service: Service) -> None:
    answered = run("probe", "--url", service.url, cwd=service.directory)
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.startswith("ready; answered through every stage in")
    nobody = run("probe", "--url", "http://127.0.0.1:9", cwd=service.directory)
    assert nobody.returncode != 0
    assert "does not answer" in nobody.stderr


def test_rays_own_logs_name_nobody(service: Service, asked: dict[str, Any]) -> None:
    service.get(f"/v1/galleries/{KEY}/templates?label={LABEL}")
    logs = {log for log in service.directory.glob("**/logs/**/*") if log.is_file()}
    assert logs
    telling = [
        log.name
        for log in logs
        if any(word in log.read_bytes() for word in (LABEL.encode(), KEY.encode()))
    ]
    assert telling == []
