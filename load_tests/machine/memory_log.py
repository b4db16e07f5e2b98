"""Memory of a process tree over time, and whether it grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes

from load_tests.machine.processes import Memory, Processes, memory


class MemoryLog:
    """Memory over time, each ``every_s`` seconds; use it as a context."""

    def __init__(self, processes: Processes, every_s: float) -> None:
        self._processes = processes
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.at_s: list[float] = []
        self.seen: list[Memory] = []

    def __enter__(self) -> MemoryLog:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def pss_since(self, start_s: float) -> tuple[list[float], list[float]]:
        """Seconds and megabytes of what was seen from ``start_s`` on."""
        pairs = zip(self.at_s, self.seen, strict=True)
        kept = [(at, seen.pss) for at, seen in pairs if at >= start_s]
        return [at for at, _ in kept], [pss for _, pss in kept]

    def _look_on(self) -> None:
        while True:
            self.at_s.append(time.monotonic() - self._started)
            self.seen.append(memory(self._processes()))
            if self._stop.wait(self._every_s):
                return


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth an hour, as a share of the mean. ``low``, ``high``: 95 % interval."""

    share: float
    low: float
    high: float


def slope(at_s: Sequence[float], values: Sequence[float]) -> Slope:
    """Theil-Sen's: the median of the slopes between all pairs, which a single step or peak does
    not move. (Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968.)"""
    if len(values) < 3:
        raise ValueError(f"{len(values)} values make no slope")
    found = theilslopes(values, at_s)
    an_hour = 3600 / float(np.mean(values))
    share, low, high = (
        float(value) * an_hour for value in (found.slope, found.low_slope, found.high_slope)
    )
    return Slope(share, low, high)
