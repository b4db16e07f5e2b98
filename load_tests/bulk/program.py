"""One bulk job in a Ray cluster of its own, with logical resources as they are asked for.

A program: prints what it saw as JSON. The store's clock says when the first and the last rows were
settled, so that starting the cluster and the actors is not in the rate.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from load_tests.machine.processes import memory
from load_tests.stand_in.app import Latencies
from serve_app.config import JobRequest, parse_service_args
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.models.zoo.opening import unwatched
from serve_app.types import JobMode

LOOK_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--detectors", type=int, default=1)
    parser.add_argument("--extractors", type=int, default=2)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--gpus", type=float, default=0)
    parser.add_argument("--job-id", default="bench")
    options = parser.parse_args()
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}

    import ray

    from serve_app.jobs.build_gallery import submitted_job

    jobs = {
        "detectors": options.detectors,
        "extractors": options.extractors,
        "cpus": 0.1,
        "gpus": options.gpus,
    }
    service = parse_service_args({"data_dir": str(options.data_dir), "jobs": jobs})
    GalleryStore(sqlite_url(options.data_dir / "galleries.db")).close()
    request = JobRequest(key="bench", input=options.input, mode=JobMode.REPLACE)
    with tempfile.TemporaryDirectory(prefix="fs-", dir="/tmp") as directory:
        ray.init(
            num_cpus=2,
            num_gpus=options.extractors if options.gpus else None,
            object_store_memory=256 * 1024 * 1024,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=directory,
        )
        seen = Watching()
        watch = Latencies() if options.stand_in else unwatched
        with seen:
            started = time.time()
            job = submitted_job(
                options.job_id, request, service, os.environ, say=seen.say, watch=watch
            )
            wall_s = time.time() - started
        ray.shutdown()
    figures: dict[str, Any] = {
        "state": job.state,
        "message": job.message,
        "rows": job.done,
        "accepted": job.accepted,
        "wall_s": wall_s,
        "lines": seen.lines,
        "memory": seen.memory,
        "cpu": seen.cpu,
    }
    print(json.dumps(figures))


class Watching:
    """Memory (seconds, megabytes) and processor seconds of all processes, and lines with times."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []
        self.memory: list[tuple[float, float]] = []
        self.cpu: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def say(self, line: str) -> None:
        self.lines.append((time.monotonic() - self._started, line))

    def _look_on(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(LOOK_S):
            family = [me, *me.children(recursive=True)]
            at = time.monotonic() - self._started
            self.memory.append((at, memory(family).pss))
            used = 0.0
            for process in family:
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                used += times.user + times.system
            self.cpu.append((at, used))


if __name__ == "__main__":
    main()
