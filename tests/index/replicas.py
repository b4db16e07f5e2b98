"""A replica with snapshots, watched."""

from __future__ import annotations

from pathlib import Path

from serve_app.index.cache import GalleryCache
from serve_app.index.loading import Loader
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, Shard

from .samples import MODEL, vectors
from .watched import WatchedStore, people

INLINE = 50


class Replica:
    """A cache with snapshots, on a watched store of its own."""

    def __init__(self, url: str, directory: Path) -> None:
        self.storage = SnapshotStorage(str(directory))
        self.store = WatchedStore(url)
        loader = Loader(self.store, Shard(), self.storage)
        self.cache = GalleryCache(self.store, None, loader, inline=INLINE)

    def close(self) -> None:
        self.cache.close()
        self.store.close()

    @property
    def in_use(self) -> str:
        return self.cache._entries["staff"].index.index_type_in_use

    @property
    def rows(self) -> tuple[int, int, int]:
        """Sealed, growing, dead."""
        index = self.cache._entries["staff"].index
        return index.sealed_rows, index.growing_rows, index.dead_rows

    def people(self) -> dict[int, str]:
        return people(self.cache)

    def swapped(self) -> None:
        """After a search that looks for something newer."""
        self.people()
        self.cache.wait_for_swaps()


def add(store: GalleryStore, label: str, seed: int) -> int:
    mine = Embeddings(MODEL, vectors(1, seed=seed))
    return store.add("staff", [label], mine, with_labels=False).ids[0]
