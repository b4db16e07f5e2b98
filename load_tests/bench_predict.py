"""``make bench-predict``: ``predict`` in this process, beside its networks alone.

Each runtime gets the same photographs, in turns, so that a busy moment of the machine hits all of
them. Timings are worth something as ratios within one run only.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from serve_app import create_pipeline
from serve_app.index.index_data import IndexData
from serve_app.pipeline.face_recognition import FaceRecognitionPipeline
from serve_app.pipeline.timings import Report

ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?", help="a directory; left out, a portrait")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--runtimes", nargs="+", default=["use_hpip", "plain", "paddle"])
    options = parser.parse_args()
    images = photographs(options.photos, options.images)
    pipelines = {name: opened(name, options.workers) for name in options.runtimes}
    first = next(iter(pipelines.values()))
    enrolled = images[: min(50, len(images))]
    index = first.build_index(enrolled, [f"person {n}" for n in range(len(enrolled))])
    print(f"{len(images)} photographs, {ROUNDS} rounds in turns, {len(enrolled)} enrolled\n")
    runs: dict[str, list[Report]] = {name: [] for name in pipelines}
    for _ in range(ROUNDS):
        for name, pipeline in pipelines.items():
            runs[name].append(run(pipeline, images, index))
    print("| | images/s | workers | networks alone, images/s | share of the networks |")
    print("|---|---|---|---|---|")
    for name, reports in runs.items():
        rate = statistics.median(report.images / report.wall_s for report in reports)
        alone = statistics.median(report.images / report.alone_s for report in reports)
        share = statistics.median(report.share for report in reports)
        print(f"| {name} | {rate:.1f} | {reports[0].workers} | {alone:.1f} | {share:.3f} |")
    fastest, slowest = (
        statistics.median(r.images / r.wall_s for r in runs[name])
        for name in (options.runtimes[0], options.runtimes[-1])
    )
    print(f"\n{options.runtimes[0]} to {options.runtimes[-1]}: {fastest / slowest:.2f} x")


def photographs(directory: Path | None, count: int) -> list[str] | list[np.ndarray]:
    if directory is None:
        from skimage import data

        portrait = cv2.cvtColor(data.astronaut()[0:300, 80:380], cv2.COLOR_RGB2BGR)
        return [cv2.resize(portrait, (250, 250), interpolation=cv2.INTER_AREA)] * count
    files = sorted(str(file) for file in directory.rglob("*.jpg"))[:count]
    if not files:
        sys.exit(f"{directory.name} holds no .jpg files")
    return files


def opened(name: str, workers: int | None) -> FaceRecognitionPipeline:
    hpi_config = {} if name in ("use_hpip", "plain") else {"backend": name}
    pipeline = create_pipeline(
        use_hpip=name == "use_hpip", hpi_config=hpi_config, workers=workers, device="cpu",
        record_timings=True,
    )  # fmt: skip
    return pipeline


def run(
    pipeline: FaceRecognitionPipeline, images: Sequence[str | np.ndarray], index: IndexData
) -> Report:
    pipeline.timings.clear()
    for _ in pipeline.predict(list(images), index=index):
        pass
    return pipeline.timings.report()


if __name__ == "__main__":
    main()
