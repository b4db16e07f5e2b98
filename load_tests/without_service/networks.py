"""The networks alone: what a picture costs if nothing but its networks runs.

They get inputs that were prepared before, the extractor's in batches as large as the pipeline file
says: as a service that wasted nothing would run them. A program: see ``run.networks_alone``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from serve_app.config import default_cache_dir, load_pipeline
from serve_app.pipeline import open_pipeline
from serve_app.pipeline.timings import Recorders

WARM_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    config = load_pipeline(options.pipeline)
    recorders = Recorders()
    pipeline = open_pipeline(config, default_cache_dir(os.environ), watch=recorders.watch)
    faces = pipeline.detect(options.picture.read_bytes())
    recorders.forget()
    batch = config.extractor.batch_size
    crops = [faces[number % len(faces)].crop for number in range(batch)]
    pipeline.detect(options.picture.read_bytes())
    pipeline.embed(crops)
    detector, extractor = recorders.networks["detector"], recorders.networks["extractor"]

    def batches() -> int:
        """As many pictures as fill whole batches."""
        detector.alone(batch)
        extractor.alone(len(faces))
        return batch

    _for(WARM_S, batches)
    started, cpu = time.perf_counter(), time.process_time()
    images = _for(options.seconds, batches)
    figures = {
        "images": images,
        "faces": len(faces),
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
    }
    print(json.dumps(figures))


def _for(seconds: float, work: object) -> int:
    assert callable(work)
    end, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        done += work()
    return done


if __name__ == "__main__":
    main()
