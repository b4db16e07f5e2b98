"""Attempts in figures: rates, percentiles, statuses, and where the servers say the time went."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from load_tests.traffic.attempts import Attempt

_TIMING = re.compile(r"([\w-]+)[^,]*?;\s*dur=([\d.]+)")


@dataclass(frozen=True, slots=True)
class Summary:
    """Of attempts that were due within ``seconds``. Times in milliseconds from when each was due;
    percentiles of good answers only. ``late_ms``: by how much the client itself was late, p99."""

    sent: int
    good: int
    seconds: float
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    late_ms: float
    statuses: dict[int, int]
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return self.sent - self.good


def summarise(attempts: Sequence[Attempt], seconds: float) -> Summary:
    """``rate``: good answers a second that arrived within the time."""
    good = [one for one in attempts if one.is_good]
    latencies = [1e3 * one.latency_s for one in good]
    start = min((one.due_s for one in attempts), default=0.0)
    in_time = sum(one.done_s <= start + seconds for one in good)
    return Summary(
        sent=len(attempts),
        good=len(good),
        seconds=seconds,
        rate=in_time / seconds if seconds else 0.0,
        p50_ms=percentile(latencies, 50),
        p95_ms=percentile(latencies, 95),
        p99_ms=percentile(latencies, 99),
        max_ms=percentile(latencies, 100),
        late_ms=percentile([1e3 * (one.sent_s - one.due_s) for one in attempts], 99),
        statuses=dict(sorted(Counter(one.status for one in attempts).items())),
        stages=stage_times(good),
    )


def phases(attempts: Iterable[Attempt]) -> dict[str, list[Attempt]]:
    """Attempts by phase, in their order."""
    found: dict[str, list[Attempt]] = {}
    for one in attempts:
        found.setdefault(one.phase, []).append(one)
    return found


def percentile(values: Sequence[float], q: float) -> float:
    """NaN of nothing: a percentile that nobody measured must not look like a fast one."""
    return float(np.percentile(values, q)) if values else float("nan")


def stage_times(attempts: Iterable[Attempt]) -> dict[str, float]:
    """Median milliseconds of each stage of the replies' Server-Timing."""
    stages: dict[str, list[float]] = {}
    for one in attempts:
        for name, milliseconds in _TIMING.findall(one.timing):
            stages.setdefault(name, []).append(float(milliseconds))
    return {name: percentile(values, 50) for name, values in stages.items()}


def last_bad(attempts: Iterable[Attempt], is_bad: Callable[[Attempt], bool]) -> float | None:
    """When the last bad one was due; None if all were good."""
    return max((one.due_s for one in attempts if is_bad(one)), default=None)
