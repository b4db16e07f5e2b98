"""Clients of real galleries: each talks to one replica, which has a store and caches of its own.

Labels have orthogonal vectors, so that a search of one finds exactly its templates; a probe that is
as near to all of them finds everything, in one search.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from serve_app.errors import FaceServeError, OverloadedError, UnavailableError
from serve_app.index.mutations import Add, Create, Mutation, Remove
from serve_app.index.records import SearchRequest
from serve_app.index.sharding import SearchShard
from serve_app.types import Embeddings, IndexType, Metric, Receipt, SearchResult, Shard
from tests.index.replica import WHOLE, Replica, asking
from tests.index.samples import MODEL

from .scenario import LABELS, Refused, Unknown

DIMENSION = len(LABELS)
VECTORS = dict(zip(LABELS, np.eye(DIMENSION, dtype=np.float32), strict=True))
EVERYTHING = np.full(DIMENSION, DIMENSION**-0.5, dtype=np.float32)
THRESHOLD = 0.4
"""A label's templates score 1 to its probe and 0.5 to everything's; others 0."""
EVERYONE = 10_000
TOMBSTONES = 20

Ask = Callable[[Replica, Shard], SearchShard]


def embeddings_of(labels: Sequence[str]) -> Embeddings:
    rows = [VECTORS[label] for label in labels]
    return Embeddings(MODEL, np.array(rows, dtype=np.float32).reshape(-1, DIMENSION))


def create(replica: Replica, key: str) -> None:
    """Empty."""
    replica.store.do(Create(key, IndexType.FLAT, Metric.IP, [], embeddings_of([])))


class ReplicaClient:
    """A client of one gallery. ``sharded``: searches the replica's shards; ``ask``: how it does.
    ``searches`` that it was answered, and those that were ``refused``."""

    def __init__(
        self, replica: Replica, key: str, *, sharded: bool = False, ask: Ask = asking
    ) -> None:
        self._replica = replica
        self._key = key
        self._sharded = sharded
        self._ask = ask
        self.searches = self.refused = 0

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        return self._do(Add(self._key, labels, embeddings_of(labels)))

    def remove(self, ids: Sequence[int]) -> tuple[list[int], int]:
        return self._do(Remove(self._key, ids))

    def search(self, label: str | None) -> set[int]:
        probe = EVERYTHING if label is None else VECTORS[label]
        request = SearchRequest(self._key, Embeddings(MODEL, probe[None]), EVERYONE)
        answer: object
        if self._sharded:
            (answer,) = self._replica.search_shards([request], self._ask)
        else:
            (answer,) = self._replica.search([request])
        if isinstance(answer, UnavailableError):
            self.refused += 1
            raise Refused  # nothing was read
        if isinstance(answer, FaceServeError):
            raise answer
        assert isinstance(answer, SearchResult)
        self.searches += 1
        return {each.template_id for each in answer.candidates[0] if each.score > THRESHOLD}

    def _do(self, mutation: Mutation) -> tuple[list[int], int]:
        try:
            receipt: Receipt = self._replica.store.do(mutation)
        except OverloadedError:
            raise Refused from None
        except UnavailableError:
            raise Unknown from None
        return receipt.ids, receipt.count


@contextmanager
def rebuilt(
    replica: Replica, key: str, shards: Sequence[Shard] = (WHOLE,), pause_s: float = 0.05
) -> Iterator[list[str]]:
    """Snapshots of ``shards`` are built one after the other until the block ends; older ones than
    the last two of a shard go, and so do tombstones. Yields the names of those that were built."""
    built: list[str] = []
    stop = threading.Event()

    def build() -> None:
        while not stop.is_set():
            for shard in shards:
                row = replica.build(key, shard)
                assert row is not None
                built.append(row.name)
                for old in replica.store.snapshots(row.generation, shard)[2:]:
                    replica.storage.remove(old.name)
                    replica.store.forget(old.name)
            replica.store.prune(3600, TOMBSTONES)
            stop.wait(pause_s)

    with ThreadPoolExecutor(1) as thread:
        building = thread.submit(build)
        try:
            yield built
        finally:
            stop.set()
        building.result()
