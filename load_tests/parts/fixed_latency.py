"""How full the graph keeps accelerators: a stand-in of fixed latency in their place."""

from __future__ import annotations

from collections.abc import Sequence

from load_tests.findings import Finding, Section
from load_tests.measured import Measured, infer, with_clients
from load_tests.pictures import LABEL, Picture
from load_tests.stand_in.app import Latencies
from load_tests.stand_in.content import extractors, logical_gpus, with_stand_in
from load_tests.target import serve_file, started

CLIENTS = 256
REPLICAS = (1, 2, 4)
ENDS = (1, 4)
"""Enough to see whether it is linear, in a hurry."""
SETTLE_S = 2.0
MAX_COST = 8
"""Faces of a run: with more, the client of a machine of two cores would be what is measured."""
IDEAL_BAR, LINEAR_BAR, BUSY_BAR = 0.9, 0.05, 0.5
IDLE_S = 5.0


def ideal_rate(replicas: int, latencies: Latencies, max_cost: int) -> float:
    """Images of one face a second, every run full and none waiting."""
    return replicas * max_cost / ((latencies.first_ms + latencies.face_ms * max_cost) / 1e3)


def measure(
    picture: Picture, *, seconds: float, replicas: Sequence[int] = REPLICAS, cores: int
) -> Section:
    latencies = Latencies()
    runs: dict[int, Measured] = {}
    for count in replicas:
        content = with_stand_in(serve_file("local"))
        content = extractors(content, count, max_cost=MAX_COST)
        with started(content, environ=logical_gpus(count), settle_s=SETTLE_S) as target:
            pair = {"image": picture.base64, "label": LABEL}
            built = target.post("/face-recognition-index-build", {"imageLabelPairs": [pair]})
            request = infer(picture.base64, built["indexKey"], expects=LABEL)
            idle = target.idle_cores(IDLE_S)
            runs[count] = with_clients(target, request, CLIENTS, seconds, idle)
    reached = {
        count: run.summary.rate / ideal_rate(count, latencies, MAX_COST)
        for count, run in runs.items()
    }
    busy = {count: run.usage.cores / cores for count, run in runs.items()}
    most, least = max(replicas), min(replicas)
    each = {count: run.summary.rate / count for count, run in runs.items()}
    return Section(
        f"Stand-in network of {latencies.first_ms:.0f} ms + {latencies.face_ms:.0f} ms a face, "
        f"runs of {MAX_COST}, {CLIENTS} clients, {picture.name}",
        ["replicas", "images/s", "ideal", "share", "p50 ms", "CPU-ms an image",
         "service's share of the cores", "machine's"],
        [
            [count, run.summary.rate, ideal_rate(count, latencies, MAX_COST), reached[count],
             run.summary.p50_ms, run.cpu_ms, busy[count], run.machine_cores / cores]
            for count, run in runs.items()
        ],
        [
            Finding("3", f"of the ideal, {most} replicas", reached[most], IDEAL_BAR,
                    at_least=True),
            Finding("3", f"from {least} to {most} replicas off linear",
                    abs(each[most] / each[least] - 1), LINEAR_BAR),
            Finding("3", f"processors busy with the service, {most} replicas", busy[most],
                    BUSY_BAR),
            Finding("3", "the same, with the client", runs[most].machine_cores / cores, None),
        ],
        ["Decoding, preprocessing, payloads and placement are real; a replica has a logical GPU.",
         *[f"{count} replicas: not all answers were good: {run.summary.statuses}."
           for count, run in runs.items() if run.summary.failed]],
        {str(count): run.figures() for count, run in runs.items()},
    )  # fmt: skip
