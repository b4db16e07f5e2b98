"""Latency where requests come when users send them, whatever was answered: an open loop.

Clients that wait for answers, as in the other parts, never queue more than there are of them. What
waiting a stream of users causes is measured here, and what `face-serve plan` predicts is held
against it.
"""

from __future__ import annotations

from dataclasses import replace

from load_tests.findings import Section
from load_tests.measured import Measured, infer, send_measured
from load_tests.pictures import LABEL, Picture
from load_tests.target import Target
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan

SHARES = (0.3, 0.5, 0.7, 0.85)
"""Of the capacity. Above, a part of a minute says little: queues grow for longer than it lasts."""
WARM_S = 3.0


def measure(
    target: Target,
    picture: Picture,
    key: str,
    idle_cores: float,
    capacity: float,
    *,
    seconds: float,
) -> Section:
    """``capacity``: images a second, as clients that wait reached it."""
    request = infer(picture.base64, key, expects=LABEL)
    runs: dict[float, Measured] = {}
    for share in SHARES:
        phase = Phase(f"{share:g} of capacity", seconds, rate=share * capacity)
        plan = Plan((phase,), (request,))
        send(replace(plan, phases=(replace(phase, seconds=WARM_S),), seed=2), target.url)
        runs[share] = send_measured(target, plan, idle_cores)[0]
    return Section(
        f"Poisson arrivals, {picture.name}",
        ["of the capacity", "sent/s", "p50 ms", "p95 ms", "p99 ms", "CPU-ms an image",
         "client late, p99 ms"],
        [
            [share, run.summary.sent / seconds, run.summary.p50_ms, run.summary.p95_ms,
             run.summary.p99_ms, run.cpu_ms, run.summary.late_ms]
            for share, run in runs.items()
        ],
        [],
        [f"Open loop, {seconds:g} s each, of {capacity:.0f} images/s."],
        {
            "faces": picture.faces,
            "capacity": capacity,
            "arrivals": {f"{share:g}": run.figures() | {"rate": share * capacity}
                         for share, run in runs.items()},
        },
    )  # fmt: skip
