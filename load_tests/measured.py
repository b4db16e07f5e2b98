"""One measurement: a plan sent to a service, with the processor time of both sides."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import psutil

from load_tests.machine.meter import Usage
from load_tests.target import Target
from load_tests.traffic.attempts import Attempt
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan, Request
from load_tests.traffic.summary import Summary, summarise

WARM_S = 2.0
INFER = "/face-recognition-infer"


@dataclass(frozen=True, slots=True)
class Measured:
    """``usage``: of the service's processes while the plan was sent. ``machine_cores``: of all
    cores, whoever used them. ``idle_cores``: what the service uses when nothing is asked of it."""

    summary: Summary
    usage: Usage
    client_cpu_s: float
    machine_cores: float
    idle_cores: float

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds of the service a good answer, net of the idle service's."""
        good = self.summary.good
        return 1e3 * self.usage.net_s(self.idle_cores) / good if good else float("nan")

    @property
    def client_cpu_ms(self) -> float:
        return 1e3 * self.client_cpu_s / max(1, self.summary.sent)

    @property
    def cpu_ms_by_role(self) -> dict[str, float]:
        """With the idle service's share, as nobody can tell it apart by role."""
        good = max(1, self.summary.good)
        found = {name: 1e3 * seconds / good for name, seconds in self.usage.cpu_s.items()}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def figures(self) -> dict[str, Any]:
        return {
            "images_s": self.summary.rate,
            "p50_ms": self.summary.p50_ms,
            "p95_ms": self.summary.p95_ms,
            "p99_ms": self.summary.p99_ms,
            "sent": self.summary.sent,
            "statuses": self.summary.statuses,
            "cpu_ms": self.cpu_ms,
            "client_cpu_ms": self.client_cpu_ms,
            "machine_cores": self.machine_cores,
            "client_late_p99_ms": self.summary.late_ms,
            "stages_ms": self.summary.stages,
            "cpu_ms_by_role": self.cpu_ms_by_role,
        }


def send_measured(target: Target, plan: Plan, idle_cores: float) -> tuple[Measured, list[Attempt]]:
    """The whole plan as one measurement, and its attempts."""
    busy = _machine_busy_s()
    with target.meter() as meter:
        traffic = send(plan, target.url)
    machine = (_machine_busy_s() - busy) / meter.usage.wall_s
    summary = summarise(traffic.attempts, plan.seconds)
    found = Measured(summary, meter.usage, traffic.client_cpu_s, machine, idle_cores)
    return found, traffic.attempts


def with_clients(
    target: Target, request: Request, clients: int, seconds: float, idle_cores: float
) -> Measured:
    """So many clients that each wait for their answers, after a warm-up of its own."""
    plan = Plan((Phase(f"{clients} clients", seconds, clients=clients),), (request,))
    send(replace(plan, phases=(Phase("warm", WARM_S, clients=clients),)), target.url)
    return send_measured(target, plan, idle_cores)[0]


def in_turns(
    target: Target,
    requests: Mapping[str, Request],
    *,
    clients: int,
    seconds: float,
    rounds: int,
    idle_cores: float,
) -> dict[str, list[Measured]]:
    """Each request in turn, ``rounds`` times: a busy moment of the machine hits all alike."""
    runs: dict[str, list[Measured]] = {name: [] for name in requests}
    for number in range(rounds):
        names = list(requests)
        for name in names if number % 2 == 0 else reversed(names):
            runs[name].append(with_clients(target, requests[name], clients, seconds, idle_cores))
    return runs


def infer(image: str, key: str, *, visualize: bool = False, expects: str = "") -> Request:
    body = {"image": image, "indexKey": key, "visualize": visualize}
    return Request.json("infer", INFER, body, expects=expects)


def infer_file(image: bytes, key: str, *, expects: str = "") -> Request:
    """The same without JSON and base64: the file is the body."""
    path = f"{INFER}?indexKey={key}&visualize=false"
    return Request("infer-file", path, image, content_type="image/jpeg", expects=expects)


def cores_in_use(seconds: float = 2.0) -> float:
    """Cores that others use at this moment: figures of a busy machine are worth less."""
    before = _machine_busy_s()
    time.sleep(seconds)
    return (_machine_busy_s() - before) / seconds


def _machine_busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)
