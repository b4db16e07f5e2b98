"""The service beside PaddleX's own server: the same model directories, the same requests."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
THEIRS, OURS = "PaddleX 3.4.3", "this service"
IDLE_S = 5.0


Runs = dict[int, tuple[Measured, list[float]]]
"""By clients: what was measured, and the milliseconds of /health meanwhile."""


def measure(
    python: Path, *, seconds: float, clients: Sequence[int] = CLIENTS, plain: bool = True
) -> Section:
    """``python``: of PaddleX's environment. ``plain``: also without use_hpip, in Paddle itself."""
    with tempfile.TemporaryDirectory(prefix="face-serve-models-") as directory:
        models = Path(directory)
        export(models)
        with paddlex(python, models) as peer:
            runs = {THEIRS: _runs(peer, clients, seconds)}
        for name, use_hpip in ((OURS, True), (f"{OURS}, use_hpip: false", False)):
            if use_hpip or plain:
                file = models / f"{use_hpip}.yaml"
                # Gallery images are crops: PaddleX embeds them whole.
                own = {"enrol": {"detect": False}, "use_hpip": use_hpip}
                file.write_text(yaml.safe_dump(pipeline_file(models) | own), encoding="utf-8")
                content = two_detectors(serve_file("local", pipeline=str(file)))
                with started(content) as target:
                    runs[name] = _runs(target, clients, seconds)
    rows: list[list[Cell]] = [
        [name, count, run.summary.rate, run.summary.p50_ms, run.cpu_ms, percentile(health, 50),
         percentile(health, 100)]
        for name, found in runs.items() for count, (run, health) in found.items()
    ]  # fmt: skip
    findings = []
    for name in [name for name in runs if name != THEIRS]:
        times = runs[name][JUDGED_AT][0].summary.rate / runs[THEIRS][JUDGED_AT][0].summary.rate
        what = f"{name}: throughput to PaddleX's, {JUDGED_AT} clients"
        findings.append(
            Finding("7", what, times, TIMES_BAR if name == OURS else None, "times", True)
        )
        cpu = runs[THEIRS][JUDGED_AT][0].cpu_ms / runs[name][JUDGED_AT][0].cpu_ms
        findings.append(Finding("7", f"{what}, per CPU-second", cpu, None, "times"))
    health = [ms for _, asked in runs[OURS].values() for ms in asked]
    findings.append(
        Finding("7", f"/health meanwhile, slowest of {len(health)}", max(health), HEALTH_BAR_MS,
                "ms")
    )  # fmt: skip
    return Section(
        "Beside PaddleX's server: BlazeFace and MobileFaceNet forms, 640 x 480, one face",
        ["", "clients", "images/s", "p50 ms", "CPU-ms an image", "/health p50 ms",
         "/health max ms"],
        rows,
        findings,
        [f"{TEMPLATES} templates, visualize off; random weights in the layers of both networks; "
         "this service with two Detectors and one Extractor. "
         "/health is asked five times a second by a process of its own."],
        {name: {n: run.figures() for n, (run, _) in found.items()} for name, found in runs.items()},
    )  # fmt: skip


def two_detectors(content: dict[str, Any]) -> dict[str, Any]:
    """These models need four times as long to detect as to embed: the cores go where the work is,
    with as many processes as the Serve file has for the embedded models."""
    (application,) = content["applications"]
    stages = {one["name"]: one for one in application["deployments"]}
    for name, replicas in {"Detector": 2, "Extractor": 1}.items():
        stages[name]["num_replicas"] = replicas
        stages["Ingress"]["user_config"][name.lower()]["slots"] = replicas
    return content


def _runs(target: Target, clients: Sequence[int], seconds: float) -> Runs:
    return {count: _run(target, count, seconds) for count in clients}


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
