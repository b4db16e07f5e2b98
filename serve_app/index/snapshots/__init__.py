"""Snapshots: files that let a replica start fast. Losing every one of them loses nothing.

``manifest`` says what a snapshot is and whether its files are whole; ``storage`` puts them in a
directory or an object store and gets them back. Neither knows FAISS or the store.
"""

from serve_app.index.snapshots.manifest import BadSnapshotError, Manifest
from serve_app.index.snapshots.storage import SnapshotStorage

__all__ = ["BadSnapshotError", "Manifest", "SnapshotStorage"]
