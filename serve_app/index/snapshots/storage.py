"""Where snapshots lie: a local directory, or an object store by its URL (fsspec).

A snapshot is a folder of files with its manifest. Locally it is written under a temporary name,
synced and renamed; an object store gets the manifest last. So a reader sees all of it or none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from serve_app.errors import ConfigError
from serve_app.index.snapshots.manifest import (
    MANIFEST,
    BadSnapshotError,
    Manifest,
    check_files,
    decoded,
)

logger = logging.getLogger(__name__)

UNFINISHED = "unfinished-"
"""Prefix of folders that are being written; what is left of a killed process has it too."""


class SnapshotStorage:
    """Snapshots under ``url``: a directory's path or a URL of fsspec (``s3://bucket/prefix``).

    Names are relative: ``generation/shard/snapshot``. Raises ConfigError for a URL that fsspec
    can't use, without the URL: it may hold credentials.
    """

    def __init__(self, url: str) -> None:
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            scheme = url.partition("://")[0]
            raise ConfigError(
                f"snapshots.url: {scheme}:// can't be used ({type(error).__name__}): install the "
                "package that fsspec needs for it, or give a directory"
            ) from None
        self._local = "file" in _protocols(self._files)
        if self._local:
            root = Path(self._root)
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A private folder to write a snapshot's files into; gone afterwards, if not published."""
        parent = self._root if self._local else None
        folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))  # mode 0700
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, workspace: Path, name: str, manifest: Manifest) -> None:
        """Make a workspace's files, synced already, the snapshot ``name``. Raises OSError."""
        if self._local:
            _write_synced(workspace / MANIFEST, manifest.encoded())
            _sync_folder(workspace)
            target = self._path(name)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            workspace.rename(target)
            for folder in (target.parent, *list(target.parents)[1:3]):
                _sync_folder(folder)
            return
        target_url = f"{self._root}/{name}"
        for file in manifest.files:
            self._files.put_file(str(workspace / file), f"{target_url}/{file}")
        self._files.pipe_file(f"{target_url}/{MANIFEST}", manifest.encoded())

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[Path, Manifest]]:
        """A local folder with the checked files of a snapshot, and its manifest.

        Raises BadSnapshotError if it is damaged, FileNotFoundError if it is not here at all (a
        directory of another node), OSError if it can't be read.
        """
        manifest = self._manifest(name)
        if self._local:
            check_files(self._path(name), manifest)
            yield self._path(name), manifest
            return
        with tempfile.TemporaryDirectory(prefix="face-serve-snapshot-") as folder:
            for file in manifest.files:
                with contextlib.suppress(FileNotFoundError):  # check_files names it
                    local = str(Path(folder) / PurePosixPath(file).name)
                    self._files.get_file(f"{self._root}/{name}/{file}", local)
            check_files(Path(folder), manifest)
            yield Path(folder), manifest

    def remove(self, name: str) -> None:
        """Its manifest first: half a removal is no snapshot. One that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{name}/{MANIFEST}")
        with contextlib.suppress(FileNotFoundError):
            self._files.rm(f"{self._root}/{name}", recursive=True)
        if self._local:  # folders of a generation that has none left
            for folder in list(self._path(name).parents)[:2]:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def remove_foreign(self, name: str, older_than_s: float) -> None:
        """Remove a snapshot that no database knows, unless it may just be being published."""
        with contextlib.suppress(FileNotFoundError):
            facts = [self._files.info(path) for path in self._files.find(f"{self._root}/{name}")]
            newest = max((_changed_at(fact) for fact in facts), default=0.0)
            if time.time() - newest > older_than_s:
                self.remove(name)

    def names(self) -> list[str]:
        """Every snapshot that is there, finished or torn."""
        self._files.invalidate_cache()
        found = []
        for path in self._files.glob(f"{self._root}/*/*/*"):
            name = str(PurePosixPath(path).relative_to(PurePosixPath(self._root)))
            if not name.startswith(UNFINISHED):
                found.append(name)
        return found

    def sweep(self, older_than_s: float) -> None:
        """Remove what killed processes left unfinished that long ago."""
        if not self._local:
            return  # uploads without a manifest are swept by name, as foreign snapshots
        for folder in Path(self._root).glob(f"{UNFINISHED}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > older_than_s:
                    shutil.rmtree(folder, ignore_errors=True)

    def _manifest(self, name: str) -> Manifest:
        folder = f"{self._root}/{name}"
        try:
            content = self._files.cat_file(f"{folder}/{MANIFEST}")
        except FileNotFoundError:
            if self._files.exists(folder):
                raise BadSnapshotError(f"{MANIFEST} is missing") from None
            raise
        return decoded(content)

    def _path(self, name: str) -> Path:
        return Path(self._root) / name


def _protocols(files: Any) -> tuple[str, ...]:
    protocol = files.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _changed_at(fact: dict[str, Any]) -> float:
    """Seconds since the epoch; now where a file system doesn't say, so that nothing is removed."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = fact.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return time.time()


def _write_synced(file: Path, content: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
