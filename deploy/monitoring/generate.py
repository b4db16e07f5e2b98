"""The Grafana dashboards: panels here, JSON out. ``python deploy/monitoring/generate.py`` writes
``dashboards/*.json`` beside it; a test compares, and asks a running service for every metric."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent / "dashboards"
WIDTH, HEIGHT, COLUMNS = 8, 8, 3
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Panel:
    """``queries``: an expression and how its series are named. ``unit``: one of Grafana's."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    description: str = ""


def share(of: str) -> str:
    """Of all answers, those that ``of`` selects."""
    requests = "ray_face_serve_requests_total"
    return f"sum(rate({requests}{{{of}}}{RATE})) / sum(rate({requests}{RATE}))"


def quantile(q: float, metric: str, by: str) -> str:
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({metric}_bucket{RATE})))"


def mean(metric: str, by: str) -> str:
    of = f"sum by ({by}) (rate({metric}"
    return f"{of}_sum{RATE})) / {of}_count{RATE}))"


def a_second(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{RATE}))"


SERVICE = (
    Panel(
        "Answers", ((a_second("ray_face_serve_requests_total", "status"), "{{status}}"),), "reqps"
    ),
    Panel(
        "Answers that are errors of ours",
        ((share('status=~"5.."'), "5xx"), (share('status="429"'), "429, refused")),
        "percentunit",
    ),
    Panel(
        "Rejections by reason",
        ((a_second("ray_face_serve_rejections_total", "reason"), "{{reason}}"),),
        "reqps",
    ),
    Panel(
        "Latency of a request, p50 and p99",
        (
            (quantile(0.5, "ray_face_serve_request_latency_seconds", "route"), "p50 {{route}}"),
            (quantile(0.99, "ray_face_serve_request_latency_seconds", "route"), "p99 {{route}}"),
        ),
        "s",
    ),
    Panel(
        "Mean time of a request in each stage",
        ((mean("ray_face_serve_stage_latency_seconds", "stage"), "{{stage}}"),),
        "s",
        "As Server-Timing tells it: queue is all waiting, at both ends of every call.",
    ),
    Panel(
        "Expected wait of a new request",
        (("max(ray_face_serve_expected_wait_seconds)", "expected wait"),),
        "s",
        "Over admission.max_wait_s of the Serve file requests are refused with 429.",
    ),
    Panel(
        "Requests under way",
        (("sum by (replica) (ray_face_serve_in_flight_requests)", "{{replica}}"),),
    ),
    Panel(
        "What waits to be sent",
        (("sum by (stage) (ray_face_serve_queue_cost)", "{{stage}}"),),
        description="Faces, or 256 KiB of image.",
    ),
    Panel(
        "Mean items of a batch",
        ((mean("ray_face_serve_batch_items", "stage, end"), "{{stage}} {{end}}"),),
    ),
    Panel(
        "Mean cost of a batch",
        ((mean("ray_face_serve_batch_cost", "stage, end"), "{{stage}} {{end}}"),),
    ),
    Panel(
        "Wait of a batch's first item, p95",
        ((quantile(0.95, "ray_face_serve_queue_seconds", "stage, end"), "{{stage}} {{end}}"),),
        "s",
    ),
    Panel(
        "Items dropped before they were begun",
        (
            (
                a_second("ray_face_serve_dropped_items_total", "stage, reason"),
                "{{stage}}: {{reason}}",
            ),
        ),
        "ops",
    ),
    Panel(
        "Memory of Serve's controller",
        (('max(ray_component_rss_bytes{Component=~"ray::ServeController.*"})', "controller"),),
        "bytes",
    ),
)

GALLERIES = (
    Panel(
        "Templates",
        (
            ("max(ray_face_serve_templates)", "in the store"),
            ("sum(ray_face_serve_loaded_templates)", "in memory, all replicas"),
        ),
    ),
    Panel(
        "Galleries",
        (
            ("max(ray_face_serve_galleries)", "in the store"),
            ("max(ray_face_serve_loaded_galleries)", "in memory, of one replica"),
        ),
    ),
    Panel(
        "Largest galleries, by rank",
        (("max by (rank) (ray_face_serve_gallery_templates)", "{{rank}}"),),
        description="Keys are no label. GET /v1/galleries names them.",
    ),
    Panel(
        "Changes that a replica lacks",
        (("max by (replica) (ray_face_serve_index_seq_lag)", "{{replica}}"),),
        description="The next search of that gallery applies them first.",
    ),
    Panel(
        "Galleries in memory that were built anew",
        (("max by (replica) (ray_face_serve_index_replaced_galleries)", "{{replica}}"),),
    ),
    Panel("The store answers", (("min by (replica) (ray_face_serve_store_up)", "{{replica}}"),)),
    Panel(
        "Time of a search, p50 and p99",
        tuple(
            (
                f"histogram_quantile({q}, sum by (le) "
                f'(rate(ray_face_serve_stage_latency_seconds_bucket{{stage="search"}}{RATE})))',
                name,
            )
            for q, name in ((0.5, "p50"), (0.99, "p99"))
        ),
        "s",
    ),
)

DASHBOARDS = {"service": ("face-serve", SERVICE), "galleries": ("face-serve galleries", GALLERIES)}


def dashboard(uid: str, title: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    return {
        "uid": f"face-serve-{uid}",
        "title": title,
        "tags": ["face-serve"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": list(_panels(panels)),
    }


def _panels(panels: tuple[Panel, ...]) -> Iterator[dict[str, Any]]:
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        yield {
            "id": number + 1,
            "type": "timeseries",
            "title": panel.title,
            "description": panel.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
            "targets": [
                {
                    "refId": chr(65 + i),
                    "datasource": DATASOURCE,
                    "expr": query,
                    "legendFormat": name,
                }
                for i, (query, name) in enumerate(panel.queries)
            ],
        }


def contents() -> dict[str, str]:
    """Files by name."""
    return {
        f"{name}.json": json.dumps(dashboard(name, title, panels), indent=2) + "\n"
        for name, (title, panels) in DASHBOARDS.items()
    }


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in contents().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
