"""Snapshots as a builder makes them, but in this process; and what is left of them in files."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve_app.index.records import SnapshotRow
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep.building import build_snapshot
from serve_app.types import Shard

WHOLE = Shard()
FILES = ("vector.index", "templates.npz", "manifest.json")


def shoot(
    store: GalleryStore, storage: SnapshotStorage, key: str = "staff", shard: Shard = WHOLE
) -> SnapshotRow:
    """Build a gallery's index and publish its snapshot."""
    row = build_snapshot(store, storage, store.describe([key])[key], shard, threads=1)
    assert row is not None
    return row


def flip(file: Path, position: int, bit: int = 0) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1 << bit
    file.write_bytes(content)


@contextmanager
def full_disk(largest: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: writes fail in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())
