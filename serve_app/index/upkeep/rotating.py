"""A tenant's data key rotated: a new version, rows and snapshots sealed by it, the old one deleted.

Everything is begun again by calling it again; a service goes on reading and writing meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from serve_app.errors import UnavailableError
from serve_app.index.records import SnapshotRow, snapshot_name
from serve_app.index.snapshots import BadSnapshotError, SnapshotStorage
from serve_app.index.snapshots.resealing import reseal_snapshot
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rotated:
    """``version`` seals from now on. ``snapshots``: sealed anew; ``left``: those that are not on
    this node or can't be read: they are given up, and replicas build them anew. ``retired``:
    versions that are deleted."""

    version: int
    snapshots: int
    left: int
    retired: list[int]


def rotate(
    store: GalleryStore,
    storage: SnapshotStorage,
    tenant: str,
    *,
    new_version: bool = True,
    progress: Callable[[], None] = lambda: None,
) -> Rotated:
    """``new_version`` False: only seal what is not sealed by the newest key.

    Raises ConfigError where nothing is encrypted, InvalidRequestError for an erased tenant,
    UnavailableError.
    """
    keys = EncryptionStore(store)
    versions = keys.state(tenant).wrapped_by
    version = keys.new_version(tenant) if new_version or not versions else max(versions)
    keys.reseal(tenant, progress)
    resealed = left = 0
    for key, snapshot in keys.snapshots(tenant):
        if snapshot.key_version == version:
            continue
        try:
            done = _reseal(store, storage, key, snapshot, version)
        except OSError as error:
            raise UnavailableError(
                f"the snapshots can't be read or written ({type(error).__name__}): rotate again"
            ) from None
        resealed, left = resealed + done, left + (not done)
        progress()
    return Rotated(version, resealed, left, keys.retire(tenant))


def _reseal(
    store: GalleryStore, storage: SnapshotStorage, key: str, old: SnapshotRow, version: int
) -> bool:
    name = snapshot_name(old.generation, old.shard, old.seq, version)
    new = replace(old, name=name)
    after = store.snapshot_seal(key, new)
    assert after is not None
    done = False
    try:
        reseal_snapshot(storage, old.name, new.name, store.snapshot_seal(key, old), after)
        done = store.register(new)
    except (BadSnapshotError, FileNotFoundError, UnavailableError) as error:
        logger.warning("a snapshot is built anew, not sealed anew: %s", type(error).__name__)
    if not done:
        storage.remove(new.name)
    storage.remove(old.name)
    store.forget(old.name)
    return done
