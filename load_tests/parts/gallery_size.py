"""What a large gallery costs a request, beside a small one and beside bare FAISS."""

from __future__ import annotations

import statistics
from pathlib import Path

from load_tests.findings import Finding, Section
from load_tests.galleries import fill
from load_tests.measured import Measured, in_turns, infer
from load_tests.pictures import Picture
from load_tests.target import Target

CLIENTS = 8
SIZES = {"100": 100, "100,000": 100_000}
INDEX_TYPE = "HNSW32"
OVER_FAISS_MS = 0.3


def key(size: str) -> str:
    return f"random-{SIZES[size]}"


def prepare(data_dir: Path) -> float:
    """Fill both galleries before the service starts. Returns bare FAISS's processor milliseconds
    of a search in the large one."""
    found = {size: fill(data_dir, key(size), count, INDEX_TYPE) for size, count in SIZES.items()}
    return float(found["100,000"]["faiss_ms"])


def measure(
    target: Target,
    picture: Picture,
    faiss_ms: float,
    idle_cores: float,
    *,
    seconds: float,
    rounds: int,
) -> Section:
    """Judged by the Index replica's own time: all other processes do the same work in both, and
    their noise is larger than what is looked for."""
    requests = {size: infer(picture.base64, key(size), expects='"bbox"') for size in SIZES}
    runs = in_turns(
        target, requests, clients=CLIENTS, seconds=seconds, rounds=rounds, idle_cores=idle_cores
    )
    index_ms = {size: statistics.median(map(_index_ms, found)) for size, found in runs.items()}
    all_ms = {size: statistics.median(run.cpu_ms for run in found) for size, found in runs.items()}
    over_ms = index_ms["100,000"] - index_ms["100"]
    return Section(
        f"Gallery of 100 and of 100,000, {INDEX_TYPE}",
        ["templates", "images/s", "p50 ms", "CPU-ms an image", "of these in Index"],
        [
            [size, statistics.median(run.summary.rate for run in found),
             statistics.median(run.summary.p50_ms for run in found), all_ms[size], index_ms[size]]
            for size, found in runs.items()
        ],
        [
            Finding("5", "100,000 over 100 templates, in Index (bar: bare FAISS "
                    f"{faiss_ms:.2f} + {OVER_FAISS_MS})", over_ms, faiss_ms + OVER_FAISS_MS,
                    "CPU-ms"),
            Finding("5", "the same, all processes", all_ms["100,000"] - all_ms["100"], None,
                    "CPU-ms"),
        ],
        [f"{CLIENTS} clients, in turns, {rounds} rounds each; medians. Bare FAISS: one probe a "
         "call, one thread."],
        {"faiss_ms": faiss_ms,
         "runs": {size: [run.figures() for run in found] for size, found in runs.items()}},
    )  # fmt: skip


def _index_ms(run: Measured) -> float:
    return run.cpu_ms_by_role.get("Index", float("nan"))
