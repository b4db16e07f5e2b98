"""Many clients of one gallery, and many galleries of one replica."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from serve_app.index.mutations import Create, Mutation
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, IndexType, Metric, Receipt, SearchResult, Vectors

from .replica import Replica
from .samples import MODEL, build, embeddings, vectors

AT_ONCE = 8
GALLERIES = (300, 10_000)
"""In ``make test`` and in ``make soak``."""
TEMPLATES = 100
DIMENSION = 128
A_TRANSACTION = 100
A_BATCH = 32
"""Searches that a replica's host gathers: each is of another gallery here."""
START_S = 60


def test_eight_adds_at_once(database_url: str, tmp_path: Path) -> None:
    """Eight more than before, in the store and for searches of both replicas, ten times over."""
    replicas = [Replica(database_url, tmp_path / "snapshots") for _ in range(2)]
    build(replicas[0].store, count=5)
    barrier = threading.Barrier(AT_ONCE)

    def add(number: int) -> Receipt:
        barrier.wait(60)
        store = replicas[number % 2].store
        return store.add("staff", [f"late {number}"], embeddings(1), with_labels=False)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for before in range(5, 85, AT_ONCE):
            receipts = list(threads.map(add, range(AT_ONCE)))
            after = before + AT_ONCE
            assert sorted(n for each in receipts for n in each.ids) == list(range(before, after))
            assert sorted(each.count for each in receipts) == list(range(before + 1, after + 1))
            for replica in replicas:
                (answer,) = replica.search([SearchRequest("staff", embeddings(1), 1000)])
                assert isinstance(answer, SearchResult)
                found = {each.template_id: each.label for each in answer.candidates[0]}
                assert sorted(found) == list(range(after))
                given = {each.ids[0]: f"late {n}" for n, each in enumerate(receipts)}
                assert given.items() <= found.items()
    for replica in replicas:
        replica.close()


@pytest.mark.soak
def test_many_galleries(database_url: str, tmp_path: Path, soak: bool) -> None:
    """A replica that starts reads each gallery at its first search. They are all there in time, and
    one that is read already does not wait for the others."""
    count = GALLERIES[soak]
    pool = vectors(1000, DIMENSION)
    fill(database_url, count, pool)
    replica = Replica(database_url, tmp_path / "snapshots")
    first_of(replica, [0], pool)
    with searched(replica, pool) as alone:
        time.sleep(1 + soak)
    began = time.monotonic()
    with searched(replica, pool) as beside:
        for start in range(0, count, A_BATCH):
            first_of(replica, range(start, min(start + A_BATCH, count)), pool)
    seconds = time.monotonic() - began
    with searched(replica, pool) as after:
        time.sleep(1 + soak)
    print(f"{count} galleries of {TEMPLATES} in {seconds:.1f} s; one of them before: {alone}, "
          f"meanwhile: {beside}, after: {after}")  # fmt: skip
    replica.close()
    assert seconds < START_S
    assert beside.median_s < 0.03


def fill(url: str, count: int, pool: Vectors) -> None:
    store = GalleryStore(url)
    for start in range(0, count, A_TRANSACTION):
        mutations: list[Mutation] = [
            Create(
                name(number),
                IndexType.FLAT,
                Metric.IP,
                [str(each) for each in chosen(number)],
                Embeddings(MODEL, pool[chosen(number)]),
            )
            for number in range(start, min(start + A_TRANSACTION, count))
        ]
        assert all(isinstance(answer, Receipt) for answer in store.apply(mutations))
    store.close()


def name(number: int) -> str:
    return f"gallery {number:05d}"


def chosen(number: int) -> list[int]:
    """Which of the 1000 vectors are in a gallery."""
    return [(number * 7 + 9 * each) % 1000 for each in range(TEMPLATES)]


def first_of(replica: Replica, numbers: Sequence[int], pool: Vectors) -> None:
    """One batch: each gallery finds its own first template."""
    firsts = [chosen(number)[0] for number in numbers]
    requests = [
        SearchRequest(name(number), Embeddings(MODEL, pool[[first]]), 1)
        for number, first in zip(numbers, firsts, strict=True)
    ]
    for answer, first in zip(replica.search(requests), firsts, strict=True):
        assert isinstance(answer, SearchResult)
        assert [(c.template_id, c.label) for c in answer.candidates[0]] == [(0, str(first))]


@dataclass
class Latencies:
    seconds: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        return float(np.median(self.seconds))

    def __str__(self) -> str:
        middle, high, most = np.percentile(self.seconds, [50, 99, 100]) * 1000
        return f"p50 {middle:.1f} p99 {high:.1f} max {most:.1f} ms of {len(self.seconds)}"


@contextmanager
def searched(replica: Replica, pool: Vectors) -> Iterator[Latencies]:
    """The first gallery is searched, one search after the other, until the block ends."""
    latencies = Latencies()
    stop = threading.Event()

    def search() -> None:
        while not stop.wait(0.002):
            began = time.monotonic()
            first_of(replica, [0], pool)
            latencies.seconds.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as thread:
        searching = thread.submit(search)
        try:
            yield latencies
        finally:
            stop.set()
        searching.result()
