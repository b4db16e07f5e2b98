"""A replica of the index stage as its host would make it, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from serve_app.errors import FaceServeError
from serve_app.index.batch import Answer
from serve_app.index.cache import INLINE, GalleryCache
from serve_app.index.loading import Loader
from serve_app.index.records import SearchRequest, SnapshotRow
from serve_app.index.sharding import SearchShard, ShardedSearch
from serve_app.index.snapshots import Manifest, SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep.building import build_snapshot
from serve_app.types import GalleryInfo, SearchResult, Shard

WHOLE = Shard()
HALVES = (Shard(0, 2), Shard(1, 2))
PATIENCE_S = 60


class CountingStorage(SnapshotStorage):
    """``openings``: how often a snapshot was read."""

    openings = 0

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[Path, Manifest]]:
        self.openings += 1
        with super().opened(name) as found:
            yield found


class Replica:
    """A store and, for each of ``shards``, a cache; snapshots lie in the directory ``snapshots``.

    Others, also in other processes, may use the same database and directory.
    """

    def __init__(
        self,
        url: str,
        snapshots: Path,
        shards: Sequence[Shard] = (WHOLE,),
        *,
        inline: int = INLINE,
        make_store: Callable[[str], GalleryStore] = GalleryStore,
    ) -> None:
        self.store = make_store(url)
        self.storage = CountingStorage(str(snapshots))
        self.caches = {
            shard: GalleryCache(
                self.store, shard, Loader(self.store, shard, self.storage), inline=inline
            )
            for shard in shards
        }

    def close(self) -> None:
        for cache in self.caches.values():
            cache.close()
        self.store.close()

    def search(self, requests: Sequence[SearchRequest], shard: Shard = WHOLE) -> list[Answer]:
        """One shard's answers, waited for."""
        answers = self.caches[shard].search(requests)
        return [a.result(PATIENCE_S) if isinstance(a, Future) else a for a in answers]

    def search_shards(
        self,
        requests: Sequence[SearchRequest],
        ask: Callable[[Replica, Shard], SearchShard] | None = None,
    ) -> list[SearchResult | FaceServeError]:
        """All shards' answers, merged. ``ask``: how each of them is asked."""

        async def describe(keys: list[str]) -> dict[str, GalleryInfo]:
            return await asyncio.to_thread(self.store.describe, keys)

        asked = [(ask or asking)(self, shard) for shard in self.caches if shard != WHOLE]
        return asyncio.run(ShardedSearch(asked, describe).search(requests))

    def settle(self) -> None:
        """Until nothing is being loaded any more."""
        for cache in self.caches.values():
            cache.wait_for_swaps()

    def build(self, key: str, shard: Shard = WHOLE) -> SnapshotRow | None:
        """A snapshot of the gallery as it is now; None if it is gone."""
        info = self.store.describe([key]).get(key)
        if info is None:
            return None
        return build_snapshot(self.store, self.storage, info, shard, threads=1)


def asking(replica: Replica, shard: Shard) -> SearchShard:
    """A shard on another thread, as it would be on another machine."""

    async def ask(requests: list[SearchRequest]) -> Sequence[Answer]:
        return await asyncio.to_thread(replica.search, requests, shard)

    return ask
