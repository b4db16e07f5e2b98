"""The in-process pipeline: PaddleX's Python API on one picture, many times and once at a time.

A program: see ``run.in_process``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from serve_app import create_pipeline


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    picture = str(options.picture)
    pipeline = create_pipeline(options.pipeline, record_timings=True)
    index = pipeline.build_index([picture], ["somebody"], index_type="Flat")

    def run(images: int) -> None:
        for _ in pipeline.predict([picture] * images, index=index):
            pass

    single_ms = []
    run(3)
    end = time.perf_counter() + options.seconds / 2
    while time.perf_counter() < end:
        started = time.perf_counter()
        run(1)
        single_ms.append(1e3 * (time.perf_counter() - started))
    run(32)
    pipeline.timings.clear()
    started, cpu, images = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < options.seconds / 2:
        run(64)
        images += 64
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    report = pipeline.timings.report()
    figures = {
        "images": images,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "workers": report.workers,
        "share": report.share,
        "single_p50_ms": statistics.median(single_ms),
        "stages": {name: 1e3 * s / report.images for name, s in report.stages.items()},
        "cores": os.cpu_count(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
