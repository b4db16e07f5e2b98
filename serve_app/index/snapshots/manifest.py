"""What a snapshot is of, and the sizes and digests of its files. Written last, checked first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
FORMAT = 1


class BadSnapshotError(Exception):
    """A snapshot that is torn, changed, of another gallery or of another format."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The gallery's facts at ``seq``, and ``files``: name to (bytes, SHA-256 in hex), of the files
    as they lie there. ``key_version``: of the tenant's data key that seals them, if they are."""

    gallery: str
    generation: str
    shard: int
    shards: int
    seq: int
    next_id: int
    index_type: str
    metric: str
    dimension: int
    model_id: str
    size: int
    files: dict[str, tuple[int, str]]
    key_version: int | None = None

    def encoded(self) -> bytes:
        """JSON with a digest of itself: a changed ``seq`` would else skip what happened between."""
        facts = {"format": FORMAT, **asdict(self)}
        if self.key_version is None:  # as before there was encryption: other versions read it
            del facts["key_version"]
        return _json({**facts, "checksum": hashlib.sha256(_json(facts)).hexdigest()})


def decoded(content: bytes) -> Manifest:
    """Raises BadSnapshotError that says what is wrong."""
    try:
        facts = json.loads(content)
        checksum = facts.pop("checksum")
        form = facts.pop("format")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise BadSnapshotError("its manifest is torn") from None
    if form != FORMAT:
        raise BadSnapshotError(f"its format is {form}, this version reads {FORMAT}")
    if checksum != hashlib.sha256(_json({"format": form, **facts})).hexdigest():
        raise BadSnapshotError("its manifest was changed: the checksum is another")
    try:
        files = {name: (int(size), str(digest)) for name, (size, digest) in facts["files"].items()}
        return Manifest(**{**facts, "files": files})
    except (TypeError, ValueError, KeyError, AttributeError):
        raise BadSnapshotError("its manifest lacks facts") from None


def file_facts(directory: Path, names: list[str]) -> dict[str, tuple[int, str]]:
    """Sizes and digests of files that were just written."""
    return {name: _facts(directory / name) for name in names}


def check_files(directory: Path, manifest: Manifest) -> None:
    """Raises BadSnapshotError naming the file that is missing, cut or changed."""
    for name, (size, digest) in manifest.files.items():
        file = directory / name
        if Path(name).name != name or not file.is_file():
            raise BadSnapshotError(f"{name} is missing")
        found = file.stat().st_size
        if found != size:
            raise BadSnapshotError(f"{name} has {found} bytes instead of {size}")
        if _facts(file)[1] != digest:
            raise BadSnapshotError(f"{name} was changed: the checksum is another")


def _facts(file: Path) -> tuple[int, str]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
        return content.tell(), digest.hexdigest()


def _json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
