"""A keeper whose builder runs in this process, or fails, or takes its time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import cast

from serve_app.errors import FaceServeError
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep.builder import BUILT, FAILED, NOTHING_TO_DO, BuildOrder
from serve_app.index.upkeep.building import build_snapshot
from serve_app.index.upkeep.keeper import Housekeeping, Keeper
from serve_app.index.upkeep.rules import UpkeepRules
from serve_app.types import Shard

WHOLE = Shard()
EAGER = UpkeepRules(exact_until=1, growth=0, dead=0, erase_within_s=1000, keep=2)
"""Every gallery gets an index; a new one when there are 1,000 changes more, or it is asked for."""
OFTEN = Housekeeping(interval_s=0.05, prune_every_s=0)

Process = subprocess.Popen[bytes]


class Ended:
    """As a process that has ended."""

    def __init__(self, code: int, complaint: str = "") -> None:
        self.returncode = code
        self._complaint = complaint.encode()

    def communicate(self, timeout: float) -> tuple[None, bytes]:
        return None, self._complaint


class Builds:
    """What a keeper starts: it builds at once. ``orders``: all that were given; ``complaint``: if
    set, every build fails with it; ``meanwhile`` runs before each."""

    def __init__(self, store: GalleryStore, storage: SnapshotStorage) -> None:
        self._store = store
        self._storage = storage
        self.orders: list[BuildOrder] = []
        self.complaint: str | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    @property
    def keys(self) -> list[str]:
        return [order.key for order in self.orders]

    def __call__(self, order: BuildOrder) -> Process:
        self.orders.append(order)
        self.meanwhile()
        return cast(Process, self._built(order))

    def _built(self, order: BuildOrder) -> Ended:
        if self.complaint is not None:
            return Ended(FAILED, self.complaint)
        shard = Shard(order.shard, order.shards)
        info = self._store.describe([order.key], shard).get(order.key)
        if info is None or info.generation != order.generation:
            return Ended(NOTHING_TO_DO)
        try:
            row = build_snapshot(self._store, self._storage, info, shard, threads=1)
        except FaceServeError as error:
            return Ended(FAILED, str(error))
        return Ended(BUILT if row else NOTHING_TO_DO)


class Household:
    """A store's snapshots below ``directory``, and keepers that build them in this process."""

    def __init__(self, store: GalleryStore, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self.storage = SnapshotStorage(str(directory))
        self.builds = Builds(store, self.storage)

    def keeper(
        self,
        rules: UpkeepRules = EAGER,
        *,
        housekeeping: Housekeeping = OFTEN,
        shard: Shard = WHOLE,
        store: GalleryStore | None = None,
        start_build: Callable[[BuildOrder], Process] | None = None,
        tidy: Callable[[], None] = lambda: None,
    ) -> Keeper:
        return Keeper(
            store or self.store,
            self.storage,
            ("database", "snapshots"),
            shard,
            rules,
            housekeeping,
            tidy=tidy,
            start_build=start_build or self.builds,
        )

    def running(self, rules: UpkeepRules = EAGER) -> AbstractContextManager[Keeper]:
        return running(self.keeper(rules))


@contextmanager
def running(keeper: Keeper) -> Iterator[Keeper]:
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()
        assert "keeper" not in [thread.name for thread in threading.enumerate()]
