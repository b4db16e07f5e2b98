"""What drawing into the picture costs: the same requests with ``visualize`` on and off."""

from __future__ import annotations

import statistics

from load_tests.findings import Finding, Section
from load_tests.measured import in_turns, infer
from load_tests.pictures import LABEL, Picture
from load_tests.target import Target

CPU_BAR_MS = 8.0
CLIENTS = 8


def measure(
    target: Target, picture: Picture, key: str, idle_cores: float, *, seconds: float, rounds: int
) -> Section:
    requests = {
        name: infer(picture.base64, key, visualize=name == "on", expects=LABEL)
        for name in ("off", "on")
    }
    runs = in_turns(
        target, requests, clients=CLIENTS, seconds=seconds, rounds=rounds, idle_cores=idle_cores
    )
    cpu_ms = {name: statistics.median(run.cpu_ms for run in runs[name]) for name in runs}
    return Section(
        f"visualize, {picture.name}",
        ["visualize", "images/s", "p50 ms", "CPU-ms an image"],
        [
            [name, statistics.median(run.summary.rate for run in found),
             statistics.median(run.summary.p50_ms for run in found), cpu_ms[name]]
            for name, found in runs.items()
        ],
        [Finding("6", f"visualize at {picture.name}", cpu_ms["on"] - cpu_ms["off"], CPU_BAR_MS,
                 "CPU-ms")],
        [f"{CLIENTS} clients, in turns, {rounds} rounds each; medians."],
        {name: [run.figures() for run in found] for name, found in runs.items()},
    )  # fmt: skip
