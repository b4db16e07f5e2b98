"""The service beside PaddleX's own server: the same model directories, the same requests."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from load_tests.findings import Cell, Finding, Section
from load_tests.measured import WARM_S, Measured, infer, send_measured
from load_tests.peer.export import export
from load_tests.peer.pictures import gallery_pairs, scene
from load_tests.peer.server import paddlex, pipeline_file
from load_tests.target import Target, serve_file, started
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan, Request
from load_tests.traffic.summary import percentile

CLIENTS = (1, 16)
JUDGED_AT = 16
TIMES_BAR = 4.0
HEALTH_BAR_MS = 50.0
HEALTH_RATE = 5.0
TEMPLATES = 100
IDLE_S = 5.0


def measure(python: Path, *, seconds: float, clients: Sequence[int] = CLIENTS) -> Section:
    with tempfile.TemporaryDirectory(prefix="face-serve-models-") as directory:
        models = Path(directory)
        export(models)
        ours = models / "ours.yaml"
        # Gallery images are crops: PaddleX embeds them whole.
        ours.write_text(yaml.safe_dump(pipeline_file(models) | {"enrol": {"detect": False}}))
        with paddlex(python, models) as peer:
            theirs = {count: _run(peer, count, seconds) for count in clients}
        with started(serve_file("local", pipeline=str(ours))) as target:
            found = {count: _run(target, count, seconds) for count in clients}
    rows: list[list[Cell]] = []
    for name, runs in (("PaddleX 3.4.3", theirs), ("this service", found)):
        for count, (run, health) in runs.items():
            rows.append(
                [name, count, run.summary.rate, run.summary.p50_ms, run.cpu_ms,
                 percentile(health, 50), percentile(health, 100)]
            )  # fmt: skip
    (ours_run, ours_health), (their_run, _) = found[JUDGED_AT], theirs[JUDGED_AT]
    return Section(
        "Beside PaddleX's server: BlazeFace and MobileFaceNet forms, 640 x 480, one face",
        ["", "clients", "images/s", "p50 ms", "CPU-ms an image", "/health p50 ms",
         "/health max ms"],
        rows,
        [
            Finding("7", f"throughput to PaddleX's, {JUDGED_AT} clients",
                    ours_run.summary.rate / their_run.summary.rate, TIMES_BAR, "times", True),
            Finding("7", f"/health meanwhile, slowest of {len(ours_health)}",
                    percentile(ours_health, 100), HEALTH_BAR_MS, "ms"),
        ],
        [f"{TEMPLATES} templates, visualize off; random weights in the layers of both networks. "
         "Health is asked by a process of its own, five times a second."],
        {"paddlex": {n: run.figures() for n, (run, _) in theirs.items()},
         "service": {n: run.figures() for n, (run, _) in found.items()}},
    )  # fmt: skip


def _run(target: Target, clients: int, seconds: float) -> tuple[Measured, list[float]]:
    """Requests of so many clients, and the milliseconds that /health took meanwhile."""
    pairs = gallery_pairs(TEMPLATES)
    built = target.post("/face-recognition-index-build", {"imageLabelPairs": pairs})
    request = infer(scene(1), built["indexKey"], expects="person 1")
    send(Plan((Phase("warm", WARM_S, clients=clients),), (request,)), target.url)
    idle = target.idle_cores(IDLE_S)
    health = Plan(
        (Phase("health", seconds, rate=HEALTH_RATE),),
        (Request("health", "/health", method="GET"),),
        arrivals="even",
    )
    with ThreadPoolExecutor(1) as beside:
        probing = beside.submit(send, health, target.url)
        plan = Plan((Phase(f"{clients} clients", seconds, clients=clients),), (request,))
        run, _ = send_measured(target, plan, idle)
        probes = probing.result().attempts
    return run, [1e3 * one.service_s for one in probes]
