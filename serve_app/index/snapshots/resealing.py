"""A snapshot sealed anew: its files are opened and sealed in one pass, and are plain on no disk."""

from __future__ import annotations

import os
from dataclasses import replace

from serve_app.encryption import UnreadableError
from serve_app.encryption.files import CHUNK, FileSeal
from serve_app.index.snapshots.manifest import BadSnapshotError, file_facts
from serve_app.index.snapshots.storage import SnapshotStorage


def reseal_snapshot(
    storage: SnapshotStorage, name: str, to: str, before: FileSeal | None, after: FileSeal
) -> None:
    """Publish the snapshot ``name`` as ``to``, sealed by ``after``; ``name`` stays. ``before``:
    what seals it, None if it is plain.

    Raises as ``SnapshotStorage.opened`` does; BadSnapshotError, too, for one that can't be opened.
    """
    with storage.opened(name) as (folder, manifest), storage.workspace() as workspace:
        for file in manifest.files:
            with (folder / file).open("rb") as old, (workspace / file).open("wb") as new:
                writer = after.writer(new, file)
                try:
                    source = old if before is None else before.reader(old, file)
                    while content := source.read(CHUNK):
                        writer.write(content)
                except UnreadableError:
                    raise BadSnapshotError(f"{file} can't be opened with its key") from None
                writer.close()
                new.flush()
                os.fsync(new.fileno())
        sealed = replace(
            manifest,
            files=file_facts(workspace, list(manifest.files)),
            key_version=after.key.version,
        )
        storage.publish(workspace, to, sealed)
