"""What a picture costs each stage, fitted from the report of `make bench`.

A stage that runs a batch of b pictures with F faces each takes

    call + b * (image + face * F)      milliseconds of one processor,

and b is at most 8 / F: a batch holds 8 faces. Three measurements give the three coefficients: the
small picture at one client (b = 1), the same at the most clients (b = 8), the group photo (b = 1).
All other runs of the report are there to be predicted. The idle service's own share is taken off
first. How much such times spread is what the latencies of one client say, who waits for nobody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError

REPORT_VERSION = 1
DEFAULT_REPORT = Path(__file__).with_name("report.json")
STAGES = ("Ingress", "Detector", "Extractor", "Index")
REST = "HAProxy and Ray"
"""All other processes of the service, as one more station on the way."""
FAISS_TEMPLATES = 100_000
BATCH = 8
"""Faces of a batch: max_cost in the Serve files of configs/serve for CPUs."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """Milliseconds of a processor: a call, each image in it, each face of an image."""

    call_ms: float
    image_ms: float
    face_ms: float

    def run_ms(self, images: int, faces: float) -> float:
        """A batch of ``images`` with ``faces`` each."""
        return self.call_ms + images * (self.image_ms + self.face_ms * faces)

    def full_ms(self, faces: float) -> float:
        """An image where every batch is full: what decides the highest throughput."""
        images = full_batch(faces)
        return self.run_ms(images, faces) / images


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of the report: ``requests`` with a picture of ``faces``, sent by ``clients``
    that wait, or at ``rate`` a second. Milliseconds; ``client_ms``: of a processor, a picture.
    ``others``: processors that were used by neither the service nor the client."""

    faces: int
    clients: int | None
    rate: float | None
    requests: int
    others: float
    images_s: float
    p50_ms: float
    p99_ms: float
    client_ms: float


@dataclass(frozen=True, slots=True)
class Costs:
    """``stages``: STAGES and REST. ``replicas`` and ``memory_mb`` (of one process): as they were
    when it was measured; ``node_mb`` and ``node_cores``: what Ray itself takes.
    ``spread``: the standard deviation of the times of a stage's runs to their mean.
    ``faiss_ms``: bare FAISS's, for one probe in FAISS_TEMPLATES, HNSW32; None: not measured."""

    machine: str
    date: str
    cores: int
    stages: dict[str, StageCost]
    replicas: dict[str, int]
    memory_mb: dict[str, float]
    node_mb: float
    node_cores: float
    spread: float
    faiss_ms: float | None
    runs: tuple[Run, ...]


def full_batch(faces: float) -> int:
    """Images that fill a batch."""
    return max(1, int(BATCH / faces))


def read_costs(file: Path) -> Costs:
    """Raises ConfigError where ``file`` is no report of this version, OSError if it can't be
    read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{file.name} is not JSON: give the report.json of `make bench`"
        ) from error
    if not isinstance(content, dict) or "sections" not in content:
        raise ConfigError(f"{file.name} is no report of `make bench`: give its report.json")
    if content.get("version") != REPORT_VERSION:
        found = content.get("version", "none")
        raise ConfigError(
            f"{file.name} has version {found}, this face-serve reads {REPORT_VERSION}: "
            "run `make bench` of the same release"
        )
    try:
        return _fitted(content)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        StopIteration,
    ) as error:
        raise ConfigError(
            f"{file.name} lacks figures of the parts idle, small and group, or they failed: "
            "run `make bench` with these parts"
        ) from error


def _fitted(content: Mapping[str, Any]) -> Costs:
    sections = list(content["sections"].values())
    idle = next(one for one in sections if "processes_by_role" in one)
    small = next(one for one in sections if one.get("faces") == 1 and "service" in one)
    group = next(one for one in sections if one.get("faces", 0) > 1 and "service" in one)
    faces, idle_cores = int(group["faces"]), idle["cores_by_role"]
    alone, most = (_net_ms(run, idle_cores) for run in _ends(small["service"]))
    many_faces = _net_ms(_ends(group["service"])[1], idle_cores)
    processes, memory = idle["processes_by_role"], idle["pss_mb_by_role"]
    stages = {
        stage: _stage_cost(alone[stage], most[stage], many_faces[stage], faces)
        for stage in (*STAGES, REST)
    }
    return Costs(
        machine=str(content["facts"]["Machine"]),
        date=str(content["facts"]["Date"]),
        cores=int(str(content["facts"]["Machine"]).rsplit(",", 1)[1].split()[0]),
        stages=stages,
        replicas={stage: int(processes[stage]) for stage in STAGES},
        memory_mb={stage: memory[stage] / processes[stage] for stage in STAGES},
        node_mb=sum(mb for role, mb in memory.items() if role not in STAGES),
        node_cores=float(idle["cores"]),
        faiss_ms=next((float(one["faiss_ms"]) for one in sections if "faiss_ms" in one), None),
        spread=_spread(_ends(small["service"])[0], stages.values()),
        runs=tuple(_runs(sections)),
    )


def _stage_cost(alone: float, full: float, group: float, faces: int) -> StageCost:
    """Of an image's milliseconds: b = 1, b = BATCH, b = 1 with ``faces``. Noise may make a small
    coefficient negative: none is."""
    call = max(0.0, alone - full) * BATCH / (BATCH - 1)
    face = max(0.0, group - alone) / (faces - 1)
    return StageCost(call, max(0.0, alone - call - face), face)


def _spread(one_client: Mapping[str, Any], stages: Iterable[StageCost]) -> float:
    """A hundredth of normally spread sums lies 2.33 deviations above their middle."""
    deviation_ms = (one_client["p99_ms"] - one_client["p50_ms"]) / 2.33
    return float(max(0.0, deviation_ms) / math.hypot(*(one.run_ms(1, 1) for one in stages)))


def _net_ms(run: Mapping[str, Any], idle_cores: Mapping[str, float]) -> dict[str, float]:
    """A picture's milliseconds by stage, without what the idle service takes meanwhile."""
    net = {
        role: ms - 1e3 * idle_cores.get(role, 0.0) / run["images_s"]
        for role, ms in run["cpu_ms_by_role"].items()
    }
    found = {stage: max(0.0, net.pop(stage)) for stage in STAGES}
    return found | {REST: max(0.0, sum(net.values()))}


def _ends(service: Mapping[str, Any]) -> tuple[Any, Any]:
    """The runs of the fewest and of the most clients."""
    clients = sorted(service, key=int)
    return service[clients[0]], service[clients[-1]]


def _others(run: Mapping[str, Any]) -> float:
    own_ms = sum(run["cpu_ms_by_role"].values()) + run["client_cpu_ms"]
    return max(0.0, float(run["machine_cores"] - run["images_s"] * own_ms / 1e3))


def _runs(sections: list[Mapping[str, Any]]) -> list[Run]:
    return [
        Run(
            int(one["faces"]), clients, rate, int(run["sent"]), _others(run),
            *(float(run[key]) for key in ("images_s", "p50_ms", "p99_ms", "client_cpu_ms")),
        )
        for one in sections if "faces" in one
        for clients, rate, run in (
            *((int(n), None, run) for n, run in one.get("service", {}).items()),
            *((None, float(run["rate"]), run) for run in one.get("arrivals", {}).values()),
        )
    ]  # fmt: skip
