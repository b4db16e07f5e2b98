"""``make bench``: the networks alone in this process, and the running service, in one run.

Timings are worth something as ratios within one run only: machines differ and are shared.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import statistics
import sys
import time
from collections.abc import Callable

import cv2
import httpx
from skimage import data

from serve_app.config import PipelineConfig, default_cache_dir
from serve_app.pipeline import open_pipeline

SIDE = 250
"""Pixels: a portrait of one face, as in LFW."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    options = parser.parse_args()
    image = portrait()
    print(f"one face, {SIDE} x {SIDE}, {os.cpu_count()} cores\n")
    print("| | images/s | p50 ms | p95 ms |\n|---|---|---|---|")
    networks_alone(image)
    url = f"http://127.0.0.1:{options.port}"
    try:
        for clients in options.clients:
            asyncio.run(service(url, image, clients, options.seconds))
    except httpx.TransportError:
        sys.exit(f"no service answers at {url}: start one with `make serve`")


def portrait() -> bytes:
    image = cv2.cvtColor(data.astronaut()[0:300, 80:380], cv2.COLOR_RGB2BGR)
    image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def networks_alone(image: bytes) -> None:
    """Decode, detect and embed in one thread of this process."""
    pipeline = open_pipeline(PipelineConfig(), default_cache_dir(os.environ))
    (face,) = pipeline.detect(image)
    crops = face.crop[None]
    report("decode and detect, one thread", repeated(lambda: pipeline.detect(image)))
    report("embed, one thread", repeated(lambda: pipeline.extractor.extract(crops)))
    report("both, one thread", repeated(lambda: pipeline.embed_for_enrolment(image)))


def repeated(work: Callable[[], object], times: int = 100) -> list[float]:
    for _ in range(10):
        work()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return seconds


async def service(url: str, image: bytes, clients: int, seconds: float) -> None:
    """Closed loop: each client sends its next request when it has its answer."""
    encoded = base64.b64encode(image).decode()
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(
        base_url=url, timeout=60, limits=limits, trust_env=False
    ) as client:
        pair = {"image": encoded, "label": "portrait"}
        built = await client.post("/face-recognition-index-build", json={"imageLabelPairs": [pair]})
        key = built.raise_for_status().json()["result"]["indexKey"]
        body = {"image": encoded, "indexKey": key, "visualize": False}
        latencies: list[float] = []

        async def loop(end: float) -> None:
            while time.perf_counter() < end:
                started = time.perf_counter()
                reply = await client.post("/face-recognition-infer", json=body)
                reply.raise_for_status()
                latencies.append(time.perf_counter() - started)

        await asyncio.gather(*(loop(time.perf_counter() + 2) for _ in range(clients)))
        latencies.clear()
        started = time.perf_counter()
        await asyncio.gather(*(loop(started + seconds) for _ in range(clients)))
        report(f"service, {clients} clients", latencies, time.perf_counter() - started)


def report(name: str, latencies: list[float], wall: float | None = None) -> None:
    rate = len(latencies) / (wall or sum(latencies))
    p50, p95 = (statistics.quantiles(latencies, n=20)[i] * 1e3 for i in (9, 18))
    print(f"| {name} | {rate:.1f} | {p50:.1f} | {p95:.1f} |", flush=True)


if __name__ == "__main__":
    main()
