"""Building a gallery's index from the store's pages, and its snapshot. Nothing is locked meanwhile:
what happens during the build is in the changes after the snapshot's seq.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from serve_app.errors import GalleryNotFoundError
from serve_app.index.gallery import LabelColumn, train_and_add, write_sealed
from serve_app.index.records import SnapshotRow, TemplateRows, snapshot_name
from serve_app.index.snapshots import Manifest, SnapshotStorage
from serve_app.index.snapshots.manifest import file_facts
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, Shard, Vectors

logger = logging.getLogger(__name__)

PAGE = 10_000


@dataclass
class Rows:
    """Templates in memory: ids and labels of N templates, vectors (N, D) float32."""

    dimension: int
    vectors: Vectors = field(init=False)
    ids: list[int] = field(default_factory=list)
    labels: LabelColumn = field(default_factory=LabelColumn)

    def __post_init__(self) -> None:
        self.vectors = np.empty((0, self.dimension), dtype=np.float32)

    def reserve(self, count: int) -> None:
        """Room for ``count`` templates: growing by halves would hold the vectors twice."""
        grown = np.empty((max(count, len(self.ids)), self.dimension), dtype=np.float32)
        grown[: len(self.ids)] = self.vectors[: len(self.ids)]
        self.vectors = grown

    def append(self, page: TemplateRows) -> None:
        start = len(self.ids)
        stop = start + len(page.ids)
        if stop > len(self.vectors):
            self.reserve(max(stop, len(self.vectors) + len(self.vectors) // 8))
        self.vectors[start:stop] = page.vectors
        self.ids += page.ids
        self.labels.append(page.labels)

    def drop(self, ids: set[int]) -> None:
        """Close the gaps of ``ids`` in place: nothing of them is left."""
        kept = [row for row, number in enumerate(self.ids) if number not in ids]
        if len(kept) == len(self.ids):
            return
        for start in range(0, len(kept), PAGE):  # to the left: what is read was not yet written
            part = kept[start : start + PAGE]
            self.vectors[start : start + len(part)] = self.vectors[part]
        labels = LabelColumn()
        for start in range(0, len(kept), PAGE):
            labels.append([self.labels[row] for row in kept[start : start + PAGE]])
        self.ids, self.labels = [self.ids[row] for row in kept], labels


def build_snapshot(
    store: GalleryStore,
    storage: SnapshotStorage,
    info: GalleryInfo,
    shard: Shard,
    *,
    threads: int,
    progress: Callable[[], None] = lambda: None,
) -> SnapshotRow | None:
    """Build the index of ``info``'s gallery, publish its snapshot and tell the replicas.

    ``progress`` is called now and then; what it raises ends the build. None if the gallery was
    dropped meanwhile. Raises GalleryNotFoundError if it changed too fast to be read,
    InvalidRequestError if its type can't be built, OSError if the snapshot can't be written.
    """
    rows, info = read_whole(store, info, shard, progress)
    index = train_and_add(
        info.index_type,
        info.metric,
        info.dimension,
        rows.vectors[: len(rows.ids)],
        threads,
        lambda _: progress(),
    )
    ids = np.array(rows.ids, dtype=np.int64)
    name = snapshot_name(info.generation, shard, info.seq, store.sealing_version(info.key))
    row = SnapshotRow(name, info.generation, shard, info.seq, info.next_id, len(ids), time.time())
    seal = store.snapshot_seal(info.key, row)
    with storage.workspace() as workspace:
        files = write_sealed(workspace, index, ids, rows.labels, seal)
        progress()
        manifest = Manifest(
            gallery=info.key,
            generation=info.generation,
            shard=shard.number,
            shards=shard.of,
            seq=info.seq,
            next_id=info.next_id,
            index_type=info.index_type,
            metric=str(info.metric),
            dimension=info.dimension,
            model_id=info.model_id,
            size=len(ids),
            files=file_facts(workspace, files),
            key_version=row.key_version,
        )
        storage.publish(workspace, name, manifest)
    if not store.register(row):
        storage.remove(name)
        return None
    return row


def read_whole(
    store: GalleryStore, info: GalleryInfo, shard: Shard, progress: Callable[[], None]
) -> tuple[Rows, GalleryInfo]:
    """Every template as it stands at one seq: pages first, then what happened while they were
    read."""
    rows = Rows(info.dimension)
    rows.reserve(info.size // shard.of + PAGE)
    after = -1
    while True:
        page = store.page(info, after, PAGE, shard)
        if not page.ids:
            break
        rows.append(page)
        after = page.ids[-1]
        progress()
    changes = store.changes(info, shard)
    if changes is None:
        raise GalleryNotFoundError(f"gallery {info.key} was replaced or pruned meanwhile")
    # Ids are given in the order of commits: whatever came after the pages is above them.
    fresh = [row for row, number in enumerate(changes.added.ids) if number > after]
    rows.append(
        TemplateRows(
            [changes.added.ids[row] for row in fresh],
            [changes.added.labels[row] for row in fresh],
            changes.added.vectors[fresh],
        )
    )
    rows.drop(set(changes.removed))
    return rows, changes.info
