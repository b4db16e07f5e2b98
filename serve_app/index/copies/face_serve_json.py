"""``face_serve.json`` in an index directory: what PaddleX's own files can't say, and their SHA-256,
which is checked before anything else reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from serve_app.errors import InvalidRequestError
from serve_app.index.copies.placing import Place

FORMAT = 1
TYPES: dict[str, type | UnionType] = {
    "index_type": str,
    "metric_type": str,
    "dimension": int,
    "model_id": str | None,
    "count": int,
    "next_id": int,
    "files": dict,
}


def write_facts(file: Path, facts: Mapping[str, Any], names: Iterable[str]) -> None:
    """``facts``, at least those of ``TYPES``, and digests of the finished files beside it."""
    files = {name: _digest(file.parent / name) for name in names}
    content = {"format": FORMAT, **facts, "files": files}
    text = json.dumps({**content, "checksum": _checksum(content)}, indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def read_facts(file: Path, place: Place | None = None) -> dict[str, Any] | None:
    """None if there is no such file: PaddleX wrote the directory. ``place``: where the files beside
    it are; left out, there.

    Raises InvalidRequestError naming the file that is missing, damaged or was changed.
    """
    if not file.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        form, checksum = facts["format"], facts.pop("checksum")
    except OSError as error:
        raise InvalidRequestError(f"{file.name} can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidRequestError(f"{file.name} is damaged") from None
    if form != FORMAT:
        raise InvalidRequestError(f"{file.name} has format {form}, this version reads {FORMAT}")
    if checksum != _checksum(facts):
        raise InvalidRequestError(f"{file.name} was changed: its checksum is another")
    for key, kind in TYPES.items():
        if key not in facts or not isinstance(facts[key], kind):
            raise InvalidRequestError(f"{file.name} has no {key}")
    for name, digest in facts["files"].items():
        if Path(name).name != name or not (listed := (place or file.with_name)(name)).is_file():
            raise InvalidRequestError(f"{Path(name).name} is missing")
        try:
            found = _digest(listed)
        except OSError as error:
            raise InvalidRequestError(f"{name} can't be read: {error.strerror}") from None
        if found != digest:
            raise InvalidRequestError(
                f"{name} was changed since {file.name} was written: its SHA-256 is another"
            )
    return facts


def _checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
