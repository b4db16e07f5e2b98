"""Galleries of random people, put into a data directory before its service starts.

A program, so that what building takes is not the benchmark's memory: prints what bare FAISS takes
for a search in the same index.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from load_tests.traffic.generator import ROOT

TEMPLATES_A_PERSON = 5
SPREAD = 0.35
"""Of a person's templates around their mean: faces of one person have a cosine of about 0.9."""
TOP_K = 5


def fill(data_dir: Path, key: str, count: int, index_type: str) -> dict[str, Any]:
    """``count`` templates in the gallery ``key``, of the embedded default model. Returns
    ``faiss_ms``: processor time of one search in bare FAISS, one thread."""
    command = [
        sys.executable, "-m", "load_tests.galleries", str(data_dir), key, str(count), index_type
    ]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=True
    )
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("key")
    parser.add_argument("count", type=int)
    parser.add_argument("index_type")
    options = parser.parse_args()

    import numpy as np

    from serve_app.config import (
        PipelineConfig,
        database_url,
        default_cache_dir,
        parse_service_args,
        snapshots_url,
    )
    from serve_app.index.snapshots import SnapshotStorage
    from serve_app.index.store import GalleryStore
    from serve_app.index.upkeep.building import build_snapshot
    from serve_app.models.zoo.opening import open_extractor
    from serve_app.types import Embeddings, Metric, Shard

    extractor = open_extractor(PipelineConfig(), default_cache_dir(os.environ))
    service = parse_service_args({"data_dir": str(options.data_dir)})
    rng = np.random.default_rng(options.count)
    people = rng.normal(size=(-(-options.count // TEMPLATES_A_PERSON), extractor.dimension))
    vectors = np.repeat(people, TEMPLATES_A_PERSON, axis=0)[: options.count]
    vectors = vectors + SPREAD * rng.normal(size=vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    enrolled = vectors.astype(np.float32)
    labels = [f"person {number // TEMPLATES_A_PERSON}" for number in range(options.count)]

    store = GalleryStore(database_url(service, {}))
    store.create(
        options.key,
        options.index_type,
        Metric.IP,
        labels,
        Embeddings(extractor.model_id, enrolled),
        with_labels=False,
    )
    started = time.perf_counter()
    info = store.describe([options.key])[options.key]
    storage = SnapshotStorage(snapshots_url(service))
    build_snapshot(store, storage, info, Shard(), threads=len(os.sched_getaffinity(0)))
    built_s = time.perf_counter() - started
    store.close()
    index = max(options.data_dir.glob("snapshots/**/vector.index"), key=lambda f: f.stat().st_mtime)
    probes = enrolled[:: max(1, options.count // 500)]
    print(json.dumps({"built_s": built_s, "faiss_ms": bare_faiss_ms(index, probes)}))


def bare_faiss_ms(file: Path, probes: Any) -> float:
    """Processor milliseconds of a search for one probe, one thread, as widely as ours looks."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.read_index(str(file))
    if isinstance(index, faiss.IndexHNSW):
        index.hnsw.efSearch = 256
    for probe in probes:
        index.search(probe[None], TOP_K)
    started = time.process_time()
    for probe in probes:
        index.search(probe[None], TOP_K)
    return 1e3 * (time.process_time() - started) / len(probes)


if __name__ == "__main__":
    main()
