"""Runs ``program`` and reads what it saw."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load_tests.traffic.generator import ROOT

PROGRESS = re.compile(r"(\d+) of \d+ rows")


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that ran. ``points``: seconds and rows settled, as the job said them."""

    figures: dict[str, Any]

    @property
    def points(self) -> list[tuple[float, int]]:
        found = [(at, PROGRESS.match(line)) for at, line in self.figures["lines"]]
        return [(at, int(match[1])) for at, match in found if match]

    @property
    def rate(self) -> float:
        """Rows a second between the first and the last progress that the job told."""
        (first_s, first), (last_s, last) = self.points[0], self.points[-1]
        return (last - first) / (last_s - first_s)

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds a row of all processes in the same time, Ray's own included."""
        (first_s, first), (last_s, last) = self.points[0], self.points[-1]
        used = _at(self.figures["cpu"], last_s) - _at(self.figures["cpu"], first_s)
        return float(1e3 * used / (last - first))

    def memory_mb(self) -> float:
        """The most while rows were settled."""
        first_s, last_s = self.points[0][0], self.points[-1][0]
        return float(max(mb for at, mb in self.figures["memory"] if first_s <= at <= last_s))

    def told(self, pattern: str) -> float:
        """The number in the first line that ``pattern`` matches."""
        for _, line in self.figures["lines"]:
            if match := re.search(pattern, line):
                return float(match[1])
        raise ValueError(f"no line says {pattern}")


def run(given: Path, data_dir: Path, *options: str) -> Ran:
    """Raises RuntimeError if the job did not end well."""
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "load_tests.bulk.program", str(given), "--data-dir", str(data_dir),
        *options,
    ]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if figures["state"] != "done":
        raise RuntimeError(figures["message"])
    return Ran(figures)


def _at(points: list[tuple[float, float]], when: float) -> float:
    """The value at a time, between the points that were seen."""
    before = [(at, value) for at, value in points if at <= when] or [points[0]]
    after = [(at, value) for at, value in points if at >= when] or [points[-1]]
    (low_s, low), (high_s, high) = before[-1], after[0]
    if high_s <= low_s:
        return low
    return low + (high - low) * (when - low_s) / (high_s - low_s)
