"""Reports of `make bench` with costs that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serve_app.planning.costs import BATCH, REPORT_VERSION, REST, STAGES, StageCost

COSTS = {
    "Ingress": StageCost(1.6, 0.4, 0.5),
    "Detector": StageCost(2.0, 1.2, 1.1),
    "Extractor": StageCost(2.4, 0.2, 6.0),
    "Index": StageCost(1.6, 0.1, 0.2),
    REST: StageCost(0.8, 0.1, 0.2),
}
IDLE = {**dict.fromkeys(STAGES, 0.01), "HAProxy": 0.04, "GCS": 0.02}
FACES = 6


def report() -> dict[str, Any]:
    return {
        "version": REPORT_VERSION,
        "facts": {"Date": "2026-11-29 12:00 UTC", "Machine": "a processor, 2 cores"},
        "findings": [],
        "sections": {
            "The idle service": {
                "cores": sum(IDLE.values()),
                "cores_by_role": IDLE,
                "pss_mb_by_role": {
                    "Ingress": 120, "Detector": 140, "Extractor": 500, "Index": 130, "HAProxy": 10,
                    "GCS": 990,
                },
                "processes_by_role": {
                    "Ingress": 1, "Detector": 1, "Extractor": 2, "Index": 1, "HAProxy": 2, "GCS": 1
                },
            },
            "small": {
                "faces": 1,
                "service": {"1": run(1, 1, 50), "8": run(1, 2, 110), "64": run(1, BATCH, 150)},
            },
            "group": {"faces": FACES, "service": {"1": run(FACES, 1, 16), "64": run(FACES, 1, 30)}},
            "arrivals": {
                "faces": 1, "capacity": 150, "arrivals": {"0.5": run(1, 2, 75) | {"rate": 75}},
            },
            "galleries": {"faiss_ms": 0.9, "runs": {"100": [run(1, 2, 100)]}},
            "visualize": {"on": [run(1, 2, 100)]},
        },
    }  # fmt: skip


def run(faces: int, images: int, rate: float) -> dict[str, Any]:
    """Batches of so many images; what the idle service takes comes on top."""
    cpu_ms = {stage: cost.run_ms(images, faces) / images for stage, cost in COSTS.items()}
    cpu_ms["HAProxy"] = cpu_ms.pop(REST)
    cpu_ms["GCS"] = 0.0
    return {
        "images_s": rate, "p50_ms": 20.0, "p99_ms": 30.0, "client_cpu_ms": 1.0,
        "sent": 1000, "machine_cores": 1.5,
        "cpu_ms_by_role": {role: ms + 1e3 * IDLE[role] / rate for role, ms in cpu_ms.items()},
    }  # fmt: skip


def written(directory: Path, content: object) -> Path:
    file = directory / "report.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file
