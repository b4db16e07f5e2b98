"""Host of the index stage: each replica searches its own FAISS indexes and writes to one store.

All replicas are equal and may be killed: the store is the truth, a replica only a cache of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from serve_app.deployments.replica import BatchedWorker, answered
from serve_app.errors import FaceServeError, GalleryNotFoundError
from serve_app.index.cache import GalleryCache
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Receipt, SearchResult

WRITERS = 4
READERS = 2
Result = TypeVar("Result")


class Index:
    def __init__(self, database: str) -> None:
        self._store = GalleryStore(database, create=False)
        # One core a replica: FAISS's own threads would spin on those of the other stages.
        cache = GalleryCache(self._store, threads=1)
        self._searches: BatchedWorker[SearchRequest, SearchResult] = BatchedWorker(
            cache.search, cost=lambda request: request.cost
        )
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="store-write")
        # Apart from the writers: these may wait for the database's lock.
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._searches.configure(user_config)

    async def search(
        self, requests: Sequence[SearchRequest]
    ) -> list[SearchResult | FaceServeError]:
        return await self._searches.answer(requests)

    async def build(
        self,
        key: str,
        index_type: IndexType,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        with_labels: bool,
    ) -> Receipt | FaceServeError:
        return await self._in_store(
            lambda: self._store.create(
                key, index_type, metric, labels, embeddings, with_labels=with_labels
            )
        )

    async def add(
        self, key: str, labels: Sequence[str], embeddings: Embeddings, with_labels: bool
    ) -> Receipt | FaceServeError:
        return await self._in_store(
            lambda: self._store.add(key, labels, embeddings, with_labels=with_labels)
        )

    async def remove(
        self, key: str, ids: Sequence[int], with_labels: bool
    ) -> Receipt | FaceServeError:
        return await self._in_store(lambda: self._store.remove(key, ids, with_labels=with_labels))

    async def describe(self, key: str) -> GalleryInfo | FaceServeError:
        return await self._in_store(lambda: self._described(key), self._readers)

    def _described(self, key: str) -> GalleryInfo:
        found = self._store.describe([key])
        if key not in found:
            raise GalleryNotFoundError(f"gallery {key} does not exist; build it first")
        return found[key]

    async def _in_store(
        self, work: Callable[[], Result], threads: ThreadPoolExecutor | None = None
    ) -> Result | FaceServeError:
        loop = asyncio.get_running_loop()
        return await answered(loop.run_in_executor(threads or self._writers, work))
