"""A million ready embeddings into a gallery that is searched meanwhile: ``face-serve gallery
build`` against a running service, and a client that goes on searching."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from load_tests import pictures
from load_tests.target import Target, serve_file, started
from load_tests.traffic.generator import ROOT
from serve_app.config import PipelineConfig, default_cache_dir
from serve_app.models.zoo.opening import open_extractor

DIMENSION = 128
ROWS = 50_000
EVERY_S = 0.1
IDLE_S = 20.0
KEY = "people"


def million(work: Path, count: int) -> None:
    """First 1,000 templates are served; the job puts ``count`` in their place, as HNSW32."""
    work.mkdir(parents=True)
    model_id = open_extractor(PipelineConfig(), default_cache_dir(os.environ)).model_id
    small, large = work / "small.parquet", work / "large.parquet"
    write_embeddings(small, 1000, model_id)
    write_embeddings(large, count, model_id)
    with started(serve_file("local")) as target:
        assert target.data_dir is not None
        build(target, small, "--mode", "create", "--index-type", "Flat")
        search(target)  # once: the replica has loaded it
        with Searching(target) as idle:
            time.sleep(IDLE_S)
        begun = time.monotonic()
        with Searching(target) as busy:
            lines = build(target, large, "--mode", "replace", "--index-type", "HNSW32")
            wall_s = time.monotonic() - begun
            time.sleep(5)
        for line in lines:
            print(f"    {line}", flush=True)
        built_s = told(lines, r"HNSW32 index built in ([\d.]+) s")
        print(f"\n{count} embeddings: {wall_s:.0f} s, of which the HNSW build {built_s:.0f} s, "
              f"the rest {wall_s - built_s:.0f} s")  # fmt: skip
        low, high = idle.p99_ms, busy.p99_ms
        print(f"search p99: idle {low:.0f} ms ({len(idle.seconds)}), "
              f"meanwhile {high:.0f} ms ({len(busy.seconds)}), {high / low:.1f} times; "
              f"{busy.failures} failed")  # fmt: skip
        answer = httpx.get(f"{target.url}/v1/galleries/{KEY}", timeout=60, trust_env=False).json()
        print(f"served: {answer['result']}")


def write_embeddings(file: Path, count: int, model_id: str) -> None:
    """Random unit vectors, five of each person, close to each other."""
    chance = np.random.default_rng(7)
    schema = pa.schema(
        [("label", pa.string()), ("embedding", pa.list_(pa.float32(), DIMENSION))],
        metadata={"model_id": model_id},
    )
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, count, ROWS):
            rows = min(ROWS, count - start)
            people = chance.normal(size=(-(-rows // 5), DIMENSION)).repeat(5, axis=0)[:rows]
            found = (people + 0.35 * chance.normal(size=people.shape)).astype(np.float32)
            found /= np.linalg.norm(found, axis=1, keepdims=True)
            labels = [f"person {(start + row) // 5}" for row in range(rows)]
            flat = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), DIMENSION)
            writer.write_table(pa.table([pa.array(labels), flat], schema=schema))


def build(target: Target, file: Path, *options: str) -> list[str]:
    """Raises CalledProcessError."""
    command = [
        str(Path(sys.executable).parent / "face-serve"), "gallery", "build", KEY, str(file),
        "--kind", "embeddings", "--data-dir", str(target.data_dir), *options,
    ]  # fmt: skip
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()


def told(lines: list[str], pattern: str) -> float:
    return next(float(m[1]) for line in lines if (m := re.search(pattern, line)))


def search(target: Target) -> httpx.Response:
    content: dict[str, Any] = {
        "image": pictures.small().base64, "indexKey": KEY, "visualize": False
    }  # fmt: skip
    url = f"{target.url}/face-recognition-infer"
    return httpx.post(url, json=content, timeout=60, trust_env=False)


class Searching:
    """A client that asks every ``EVERY_S``, whether or not it was answered; use it as a context."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self.seconds: list[float] = []
        self.failures = 0

    def __enter__(self) -> Searching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for thread in self._threads:
            thread.join()

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self.seconds, 99)) * 1e3

    def _go_on(self) -> None:
        while not self._stop.wait(EVERY_S):
            thread = threading.Thread(target=self._ask, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _ask(self) -> None:
        begun = time.monotonic()
        good = search(self._target).status_code == httpx.codes.OK
        self.seconds.append(time.monotonic() - begun)
        self.failures += not good
