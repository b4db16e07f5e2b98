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
SCRATCH = "face-serve-snapshot-"
"""The same beside an object store, in the system's directory for temporary files: what is on its
way there or back."""


class SnapshotStorage:
    """Snapshots under ``url``: a directory's path or a URL of fsspec (``s3://bucket/prefix``).

    Names are relative: ``generation/shard/snapshot``. Raises ConfigError for a URL that fsspec
    can't use, without the URL: it may hold credentials; and for a directory that can't be made.
    What an object store's client raises becomes an OSError that only names its kind.
    """

    def __init__(self, url: str) -> None:
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError, OSError) as error:  # OSError: pyarrow without its Hadoop
            scheme = url.partition("://")[0]
            raise ConfigError(
                f"snapshots.url: {scheme}:// can't be used ({type(error).__name__}): install the "
                "package that fsspec needs for it, or give a directory"
            ) from None
        self._local = "file" in _protocols(self._files)
        # Folders of this process's own: where they are, and how their names begin.
        self._scratch, self._prefix = Path(tempfile.gettempdir()), SCRATCH
        if self._local:
            self._scratch, self._prefix = Path(self._root), UNFINISHED
            try:
                self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"snapshots.url: the directory can't be made ({type(error).__name__})"
                ) from None

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A private folder to write a snapshot's files into; gone afterwards, if not published."""
        folder = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._scratch))  # mode 0700
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
        with _as_os_errors():
            for file in manifest.files:
                self._files.put_file(str(workspace / file), f"{target_url}/{file}")
            self._files.pipe_file(f"{target_url}/{MANIFEST}", manifest.encoded())

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[tuple[Path, Manifest]]:
        """A local folder with the checked files of a snapshot, sealed as they are there, and its
        manifest.

        Raises BadSnapshotError if it is damaged, FileNotFoundError if it is not here at all (a
        directory of another node), OSError if it can't be read.
        """
        manifest = self._manifest(name)
        if self._local:
            check_files(self._path(name), manifest)
            yield self._path(name), manifest
            return
        with self.workspace() as folder:
            for file in manifest.files:
                # One that is not there is named by check_files.
                with contextlib.suppress(FileNotFoundError), _as_os_errors():
                    local = str(folder / PurePosixPath(file).name)
                    self._files.get_file(f"{self._root}/{name}/{file}", local)
            check_files(folder, manifest)
            yield folder, manifest

    def remove(self, name: str) -> None:
        """Its manifest first: half a removal is no snapshot. One that is not there is no error."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors():
            self._files.rm_file(f"{self._root}/{name}/{MANIFEST}")
        with contextlib.suppress(FileNotFoundError), _as_os_errors():
            self._files.rm(f"{self._root}/{name}", recursive=True)
        if self._local:  # folders of a generation that has none left
            for folder in list(self._path(name).parents)[:2]:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def remove_foreign(self, name: str, older_than_s: float) -> None:
        """Remove a snapshot that no database knows, unless it may just be being published."""
        with contextlib.suppress(FileNotFoundError), _as_os_errors():
            facts = [self._files.info(path) for path in self._files.find(f"{self._root}/{name}")]
            newest = max((_changed_at(fact) for fact in facts), default=0.0)
            if time.time() - newest > older_than_s:
                self.remove(name)

    def names(self) -> list[str]:
        """Every snapshot that is there, finished or torn."""
        if self._local:  # without fsspec's glob, which would take brackets in the root for its own
            root = Path(self._root)
            found = {path.relative_to(root).as_posix() for path in root.glob("*/*/*")}
        else:
            with _as_os_errors():
                self._files.invalidate_cache()
                paths = [path.removeprefix(self._root) for path in self._files.find(self._root)]
            parts = [path.strip("/").split("/") for path in paths]
            found = {"/".join(part[:3]) for part in parts if len(part) > 3}
        return sorted(name for name in found if not name.startswith(UNFINISHED))

    def sweep(self, older_than_s: float) -> None:
        """Remove what killed processes left unfinished that long ago. What they left in an object
        store lacks its manifest, and goes by name, as foreign snapshots do."""
        for folder in self._scratch.glob(f"{self._prefix}*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > older_than_s:
                    shutil.rmtree(folder, ignore_errors=True)

    def _manifest(self, name: str) -> Manifest:
        folder = f"{self._root}/{name}"
        with _as_os_errors():
            try:
                content = self._files.cat_file(f"{folder}/{MANIFEST}")
            except FileNotFoundError:
                if self._files.exists(folder):
                    raise BadSnapshotError(f"{MANIFEST} is missing") from None
                raise
        return decoded(content)

    def _path(self, name: str) -> Path:
        return Path(self._root) / name


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, BadSnapshotError):
        raise
    except Exception as error:
        raise OSError(f"the object store failed: {type(error).__name__}") from None


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
