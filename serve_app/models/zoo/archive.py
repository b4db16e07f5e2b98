"""Unpacking an archive that nobody vouches for: only the known files of one model, by their names.

What tar can do besides is refused: links, devices, paths that lead out, endless sizes.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from serve_app.errors import ModelError

KNOWN = ("inference.json", "inference.pdmodel", "inference.pdiparams", "inference.yml")
"""What a model directory consists of (CONTRACT 6). Other files of an archive stay in it."""
MAX_MEMBERS = 1000
MAX_BYTES = 2**30


def unpack(archive: Path, target: Path) -> dict[str, str]:
    """Write the model's files into the directory ``target``; their SHA-256 by name.

    They lie in one folder of the archive, whichever. Raises ModelError without a trace of the
    archive's own names, which anyone may have chosen.
    """
    try:
        with tarfile.open(archive, mode="r:") as tar:  # "r:": never compressed
            return _unpack(tar, target)
    except (tarfile.TarError, EOFError):
        raise ModelError("the archive is no tar file, or it is incomplete") from None


def _unpack(tar: tarfile.TarFile, target: Path) -> dict[str, str]:
    digests: dict[str, str] = {}
    folders = set()
    for number, member in enumerate(tar, start=1):
        if number > MAX_MEMBERS:
            raise ModelError(f"the archive holds more than {MAX_MEMBERS} entries")
        path = _checked_path(member)
        if member.isdir() or path.name not in KNOWN:
            continue
        folders.add(path.parent)
        if path.name in digests or len(folders) > 1:
            raise ModelError("the archive holds more than one model")
        if member.size > MAX_BYTES:
            raise ModelError(f"the archive holds a file of more than {MAX_BYTES >> 20} MiB")
        digests[path.name] = _write(tar, member, target / path.name)
    return digests


def _checked_path(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise ModelError("the archive holds a path that leads out of it")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise ModelError("the archive holds a link or a device, not only files")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    source = tar.extractfile(member)
    if source is None:  # pragma: no cover - files have content
        raise ModelError("the archive holds an entry without content")
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    if target.stat().st_size != member.size:
        raise ModelError("the archive is no tar file, or it is incomplete")
    return digest_of(target)


def digest_of(file: Path) -> str:
    """SHA-256, hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
