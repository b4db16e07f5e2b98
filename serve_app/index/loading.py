"""A gallery into memory: the newest good snapshot, then what the store has since; without one, the
store's pages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from serve_app.errors import GalleryNotFoundError, UnavailableError
from serve_app.index.gallery import FaissDevice, GalleryIndex, Segment, read_sealed
from serve_app.index.records import Changes, Moment, SnapshotRow
from serve_app.index.snapshots import BadSnapshotError, Manifest, SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, Metric, Shard

logger = logging.getLogger(__name__)

PAGE = 10_000
TRIES = 10
"""A try fails only where removals were pruned while the gallery was read."""


@dataclass(slots=True)
class Loaded:
    """A gallery in memory and where it stands. ``snapshot``: where its sealed part came from;
    ``offered``: the newest snapshot there was, whether or not it was any good."""

    index: GalleryIndex
    info: GalleryInfo
    snapshot: str | None
    offered: str | None

    def apply(self, changes: Changes) -> None:
        self.index.remove(changes.removed)
        self.index.add(changes.added.ids, changes.added.labels, changes.added.vectors)
        self.info = changes.info


class Loader:
    """Reads galleries of one shard. ``storage`` None: there are no snapshots. Thread-safe."""

    def __init__(
        self,
        store: GalleryStore,
        shard: Shard,
        storage: SnapshotStorage | None,
        device: FaissDevice | None = None,
        page: int = PAGE,
    ) -> None:
        self._store = store
        self._shard = shard
        self._storage = storage
        self._device = device or FaissDevice()
        self._page = page

    def load(self, info: GalleryInfo, pause: Callable[[], None] = lambda: None) -> Loaded:
        """The gallery as it stands in the store, at least at ``info``.

        ``pause`` is called between pages. Raises GalleryNotFoundError if it was replaced meanwhile,
        UnavailableError if the store doesn't answer, is damaged, or changes faster than it is read.
        """
        for _ in range(TRIES):
            loaded = self._read(info, pause)
            if loaded is not None:
                return loaded
            now = self._store.describe([info.key], self._shard).get(info.key)
            if now is None or now.generation != info.generation:
                raise GalleryNotFoundError(f"gallery {info.key} was replaced; search again")
            info = now
        raise UnavailableError(f"gallery {info.key} changes faster than it is read; try again")

    def _read(self, info: GalleryInfo, pause: Callable[[], None]) -> Loaded | None:
        """None if what happened meanwhile can't be told: the gallery is gone, or was pruned."""
        sealed, snapshot = self._newest_sealed(info)
        index = GalleryIndex(info.metric, info.dimension, sealed)
        after = -1 if snapshot is None else snapshot.next_id - 1
        while True:
            page = self._store.page(info, after, self._page, self._shard)
            if not page.ids:
                break
            index.add(page.ids, page.labels, page.vectors)
            after = page.ids[-1]
            pause()
        # Removed since the snapshot; added since the pages were begun.
        known = info if snapshot is None else replace(info, seq=snapshot.seq)
        changes = self._store.changes(known, self._shard, added_after=info.seq)
        if changes is None:
            if snapshot is not None:  # its history was pruned: it is as good as none
                self._store.forget(snapshot.name)
            return None
        name = None if snapshot is None else snapshot.name
        loaded = Loaded(index, info, name, info.snapshot)
        loaded.apply(changes)
        self._check_complete(index, loaded.info)
        return loaded

    def _newest_sealed(self, info: GalleryInfo) -> tuple[Segment | None, SnapshotRow | None]:
        if self._storage is None or info.snapshot is None:
            return None, None
        for snapshot in self._store.snapshots(info.generation, self._shard):
            try:
                with self._storage.opened(snapshot.name) as (folder, manifest):
                    _check_same(manifest, snapshot, info)
                    return read_sealed(
                        folder,
                        info.index_type,
                        Metric(info.metric),
                        info.dimension,
                        manifest.size,
                        self._device,
                        self._store.snapshot_seal(info.key, snapshot),
                    ), snapshot
            except (BadSnapshotError, ValueError) as error:
                logger.error(
                    "snapshot %s is refused: %s; the index is rebuilt from the store",
                    snapshot.name,
                    error,
                )
                self._store.forget(snapshot.name)
            except UnavailableError:  # its pages may be sealed by a newer one
                logger.error("snapshot %s is sealed with a key that is not here", snapshot.name)
            except FileNotFoundError:
                logger.info("snapshot %s is not on this node", snapshot.name)
            except OSError as error:
                logger.error("snapshot %s can't be read: %s", snapshot.name, type(error).__name__)
        return None, None

    def _check_complete(self, index: GalleryIndex, info: GalleryInfo) -> None:
        """A gallery that lost templates must not be served as if they had never been."""
        expected = info.size
        if self._shard.of > 1:
            expected = self._store.live_count(info, self._shard)
        if len(index) == expected:
            return
        if self._shard.of > 1:  # counted later than read: something may have changed between
            standing = self._store.describe([info.key]).get(info.key)
            if standing is None or _moment(standing) != _moment(info):
                return
        raise UnavailableError(
            f"gallery {info.key} has {len(index)} templates in the store instead of {expected}: "
            "it is damaged, restore a backup"
        )


def _moment(info: GalleryInfo) -> Moment:
    return Moment(info.generation, info.seq)


def breathe() -> None:
    """Between pages: let the searches' thread have the interpreter."""
    time.sleep(0.001)


def _check_same(manifest: Manifest, row: SnapshotRow, info: GalleryInfo) -> None:
    """Raises BadSnapshotError for a snapshot of something else."""
    facts = {
        "generation": (manifest.generation, info.generation),
        "shard": ((manifest.shard, manifest.shards), (row.shard.number, row.shard.of)),
        "seq": (manifest.seq, row.seq),
        "next id": (manifest.next_id, row.next_id),
        "dimension": (manifest.dimension, info.dimension),
        "metric": (manifest.metric, str(info.metric)),
        "model": (manifest.model_id, info.model_id),
        "size": (manifest.size, row.size),
        "key": (manifest.key_version, row.key_version),
    }
    for name, (found, expected) in facts.items():
        if found != expected:
            raise BadSnapshotError(f"its {name} is {found} instead of {expected}")
