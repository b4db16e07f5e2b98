"""Directories of converted weights in the cache: built once on a machine, whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

DIGESTS = "digests.json"


def cached_directory(target: Path, build: Callable[[Path], None]) -> Path:
    """``target``, filled by ``build`` unless it is there and unchanged since.

    Safe with several processes at once: one builds, the others wait. A directory whose files
    changed, or lack, is built again. What ``build`` raises leaves nothing behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(target.name + ".lock")):
        if not is_whole(target):
            part = Path(tempfile.mkdtemp(dir=target.parent, prefix=".part-"))
            try:
                build(part)
                _seal(part)
                shutil.rmtree(target, ignore_errors=True)
                part.rename(target)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return target


def digest_of(*files: Path) -> str:
    """SHA-256 of the files' content one after the other, hex."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_whole(directory: Path) -> bool:
    """Whether a directory that ``cached_directory`` made is there, unchanged."""
    try:
        digests = json.loads((directory / DIGESTS).read_bytes())
        return bool(digests) and all(
            digest_of(directory / name) == digest for name, digest in digests.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _seal(directory: Path) -> None:
    """Note what is there, once it is safe on disk."""
    digests = {}
    for file in sorted(directory.iterdir()):
        digests[file.name] = digest_of(file)
        _sync(file)
    record = directory / DIGESTS
    record.write_text(json.dumps(digests, indent=1), encoding="ascii")
    _sync(record)


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
