"""Runs the programs of this folder and adds up what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load_tests.pictures import Picture
from load_tests.traffic.generator import ROOT

PROCESSES = 2
"""Of one thread each: as many as there are cores on the machine of the issue's figures."""
LOADING_S = 120


@dataclass(frozen=True, slots=True)
class Alone:
    """Of pictures without a service. ``single_ms``: of one picture at a time, where it was
    measured; ``share``: of the networks alone, as the pipeline tells it."""

    images: int
    wall_s: float
    cpu_s: float
    single_ms: float | None = None
    share: float | None = None
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.images / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds a picture."""
        return 1e3 * self.cpu_s / self.images


def networks_alone(picture: Picture, seconds: float, pipeline: str = "face_recognition") -> Alone:
    """``PROCESSES`` processes at once, each with networks of its own."""
    runs = _run("networks", picture, seconds, pipeline, PROCESSES)
    return Alone(
        sum(run["images"] for run in runs),
        sum(run["wall_s"] for run in runs) / len(runs),
        sum(run["cpu_s"] for run in runs),
    )


def in_process(picture: Picture, seconds: float, pipeline: str = "face_recognition") -> Alone:
    (run,) = _run("pipeline", picture, seconds, pipeline, 1)
    return Alone(
        run["images"],
        run["wall_s"],
        run["cpu_s"],
        run["single_p50_ms"],
        run["share"],
        run["stages"],
    )


def _run(
    program: str, picture: Picture, seconds: float, pipeline: str, processes: int
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="face-serve-bench-") as directory:
        file = Path(directory) / "picture.jpg"
        file.write_bytes(picture.content)
        command = [
            sys.executable, "-m", f"load_tests.without_service.{program}", "--pipeline", pipeline,
            "--picture", str(file), "--seconds", str(seconds),
        ]  # fmt: skip
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        running = [
            subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        printed = [one.communicate(timeout=seconds + LOADING_S)[0] for one in running]
        if any(one.returncode for one in running):
            raise RuntimeError(f"{program} failed; what it says is above")
        return [json.loads(text.splitlines()[-1]) for text in printed]
