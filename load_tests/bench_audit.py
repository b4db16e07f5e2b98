"""``python -m load_tests.bench_audit``: what the audit log costs a change, at the store alone.

Two databases, one with the log and one without, take turns. What it costs a whole request:
``make bench-access``.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from load_tests.paired import paired_ratio
from serve_app.index.mutations import Add
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.types import Embeddings, Metric
from tests.postgresql import PostgresServer, UnavailableError

DIMENSION = 128
WARM_UP = 2
FORMS = ((1, 1, 200), (32, 1, 640), (1, 100, 40))
"""Changes of a transaction, faces of a change, changes of a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    print("| database | changes a transaction | faces | CPU µs a change without, with | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        urls = [sqlite_url(Path(folder) / name) for name in ("with.db", "without.db")]
        compare("SQLite", urls, rounds)
    with contextlib.suppress(UnavailableError), postgres() as urls:
        compare("PostgreSQL (the client's)", urls, rounds)


@contextlib.contextmanager
def postgres() -> Iterator[list[str]]:
    server = PostgresServer()
    try:
        with server.database() as one, server.database() as other:
            yield [one, other]
    finally:
        server.close()


def compare(name: str, urls: list[str], rounds: int) -> None:
    told = GalleryStore(urls[0], migrate=True)
    untold = GalleryStore(urls[1], migrate=True, audited=False)
    for store in (told, untold):
        store.create("staff", "Flat", Metric.IP, [], faces(0), with_labels=False)
    for group, count, changes in FORMS:
        taken: dict[GalleryStore, list[float]] = {told: [], untold: []}
        for number in range(rounds + WARM_UP):
            for store in (told, untold) if number % 2 else (untold, told):
                taken[store].append(round_us(store, group, count, changes))
        before, after = taken[untold][WARM_UP:], taken[told][WARM_UP:]
        found = paired_ratio(before, after)
        means = f"{statistics.mean(before):,.0f}, {statistics.mean(after):,.0f}"
        interval = f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})"
        print(f"| {name} | {group} | {count} | {means} | {interval} |", flush=True)
    told.close()
    untold.close()


def round_us(store: GalleryStore, group: int, count: int, changes: int) -> float:
    """Processor time of this process, µs a change."""
    begun = time.process_time()
    for _ in range(changes // group):
        store.apply([Add("staff", ["x"] * count, faces(count)) for _ in range(group)])
    return (time.process_time() - begun) / changes * 1e6


def faces(count: int) -> Embeddings:
    vectors = np.ones((count, DIMENSION), dtype=np.float32) / np.sqrt(np.float32(DIMENSION))
    return Embeddings("bench@1", vectors)


if __name__ == "__main__":
    main()
