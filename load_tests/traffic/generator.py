"""Runs a plan: Locust in a process of its own, so that its processor time is told apart."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from load_tests.traffic.attempts import Attempt, read
from load_tests.traffic.plan import Plan

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
ROOT = LOCUSTFILE.parents[2]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was sent. ``client_cpu_s``: processor time of the process that sent it, without
    its start."""

    attempts: list[Attempt]
    client_cpu_s: float


def send(plan: Plan, url: str) -> Traffic:
    """Send ``plan`` to the service at ``url`` (of this machine) and wait for the last answer.

    Raises RuntimeError if Locust ended without a record.
    """
    if not url.startswith("http://127.0.0.1:"):
        raise ValueError(f"load goes to this machine only, not to {url}")
    with tempfile.TemporaryDirectory(prefix="face-serve-traffic-") as directory:
        folder = Path(directory)
        plan.write(folder / "plan.json")
        command = [
            sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--users", "1",
            "--host", url, "--plan", str(folder / "plan.json"),
            "--attempts", str(folder / "attempts.csv"), "--loglevel", "ERROR", "--only-summary",
            "--exit-code-on-error", "0",
        ]  # fmt: skip
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (folder / "log").open("wb") as log:
            subprocess.run(
                command,
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
                check=False,
                timeout=plan.seconds + plan.timeout_s + 60,
            )
        record = folder / "attempts.csv"
        if not record.exists():
            said = (folder / "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"Locust sent nothing: {said[-2000:]}")
        used = record.with_suffix(".cpu").read_text(encoding="ascii")
        return Traffic(read(record), float(used))
