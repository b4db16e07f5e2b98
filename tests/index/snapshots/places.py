"""Storages on files and in memory, snapshots in them, and their bytes past the storage."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest

from serve_app.index.snapshots import Manifest, SnapshotStorage
from serve_app.index.snapshots.manifest import file_facts

NAME = f"5f1e/1-0/{7:020d}-0a1b2c3d"
CONTENT = {"vector.index": bytes(range(256)) * 5, "templates.npz": b"labels" * 100}


@dataclass
class Place:
    """``scratch``: where the storage's unfinished folders are."""

    storage: SnapshotStorage
    files: Any
    root: str
    scratch: Path

    def read(self, name: str) -> bytes:
        return bytes(self.files.cat_file(f"{self.root}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        self.files.pipe_file(f"{self.root}/{name}", content)

    def delete(self, name: str) -> None:
        self.files.rm_file(f"{self.root}/{name}")

    def unfinished(self) -> list[str]:
        """What is on its way, or was left on it."""
        beginnings = ("unfinished-", "face-serve-snapshot-")
        return [path.name for path in self.scratch.iterdir() if path.name.startswith(beginnings)]

    def everything(self) -> list[str]:
        return sorted(self.files.find(self.root))


def local_place(root: Path, url: str) -> Place:
    return Place(SnapshotStorage(url), fsspec.filesystem("file"), str(root), root)


@contextmanager
def memory_place(scratch: Path) -> Iterator[Place]:
    root = f"/snapshots-{uuid4().hex}"
    files = fsspec.filesystem("memory")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(scratch))
        yield Place(SnapshotStorage(f"memory:/{root}"), files, root, scratch)
        if files.exists(root):
            files.rm(root, recursive=True)


def publish(storage: SnapshotStorage, name: str = NAME) -> Manifest:
    with storage.workspace() as folder:
        for file, content in CONTENT.items():
            (folder / file).write_bytes(content)
        manifest = Manifest(
            gallery="staff",
            generation="5f1e",
            shard=0,
            shards=1,
            seq=7,
            next_id=5,
            index_type="Flat",
            metric="IP",
            dimension=8,
            model_id="sface-1234",
            size=5,
            files=file_facts(folder, list(CONTENT)),
        )
        storage.publish(folder, name, manifest)
    return manifest


def content_of(storage: SnapshotStorage, name: str = NAME) -> dict[str, bytes]:
    """Of the checked files. Raises what ``opened`` raises."""
    with storage.opened(name) as (folder, manifest):
        return {file: (folder / file).read_bytes() for file in manifest.files}
