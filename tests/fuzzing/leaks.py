"""What no reply may tell: where the code runs, how it failed, what a face's embedding is.

Owns the patterns. Must not know routes; of the wire's words only those that hold a client's own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

TELLTALES = {
    "traceback": re.compile(r'Traceback \(most recent call last\)|File "[^"]*", line \d+'),
    "object": re.compile(r"\bat 0x[0-9a-fA-F]{6,}|<[\w.]+ object\b"),
    "class of an error": re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b"),
    "library": re.compile(
        r"(?<![\w.])(?:faiss|cv2?|cv::|PIL|pydantic|sqlalchemy|sqlite3?|psycopg|ray|uvicorn|starlette|"
        r"numpy|paddle|onnxruntime|openvino)(?:::|\.)\w|\berrors\.pydantic\b",
        re.IGNORECASE,
    ),
    "path": re.compile(
        r"(?<![\w/.:<])/(?!v1/)[\w.@-]+(?:/[\w.@-]+)+|\b[A-Za-z]:\\\w|\bfile://|\b\w+\.py\b"
    ),
    "address": re.compile(
        r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|\blocalhost\b|\[[0-9a-f:]*::[0-9a-f:.]*\]"
    ),
    "credentials": re.compile(r"\w+://[^\s/@]+:[^\s/@]+@|\bAKIA[0-9A-Z]{12,}"),
}

CLIENTS_OWN = frozenset({"label", "indexKey", "key", "jobId", "next", "source", "indexType"})
"""Fields that hold what some client sent before, whatever it was."""
ON_PURPOSE = frozenset({("address", "reply.result.rows[].address")})
"""The audit log tells who may read it where its clients were; whole fields, and nothing else."""
TOLD_TO_ADMINISTRATORS = frozenset({"embedding"})
"""What is asked for of a person's data."""
ID_MAP = "idMap"
PICTURE = "image"

EMBEDDING_LENGTH = 8
"""So many numbers in a row, one of them no integer, are no box."""
LONGEST_TEXT = 1000
"""Of what we say ourselves: in base64, 512 bytes are 128 floats already."""


def leaks_of(reply: Any, sent: str) -> list[str]:
    """Kinds of what a decoded reply tells that it may not, each with its place.

    ``sent``: the request as text; its own log id may come back.
    """
    return [f"{kind} in {place}" for place, value in _parts(reply, "reply")
            for kind in _kinds(place, value, sent)]  # fmt: skip


def leaks_of_text(text: str, place: str) -> list[str]:
    """As ``leaks_of``, of a header or of a reply that can't be decoded."""
    return [f"{kind} in {place}" for kind, told in TELLTALES.items() if told.search(text)]


def marks_of(content: bytes, reply: Any, marks: Iterable[str]) -> list[str]:
    """Of marked data, which comes back in a reply, be it within a picture. ``reply``: ``content``
    decoded, None where it can't be."""
    pictures = [picture_of(value) for place, value in _parts(reply, "reply")
                if place.endswith(f".{PICTURE}")]  # fmt: skip
    return [
        "marked data" for mark in marks
        if any(mark.encode("utf-8") in part for part in [content, *pictures])
    ]  # fmt: skip


def picture_of(value: Any) -> bytes:
    """In JSON pictures are base64."""
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value)
    except (TypeError, ValueError):
        return b""


def _parts(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every text and every list, with the names that lead there."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == ID_MAP and isinstance(item, dict):
                continue  # labels, by id
            if name not in CLIENTS_OWN | TOLD_TO_ADMINISTRATORS:
                yield from _parts(item, f"{place}.{name}")
    elif isinstance(value, list):
        yield place, value
        for item in value:
            yield from _parts(item, f"{place}[]")
    elif isinstance(value, str | bytes):
        yield place, value


def _kinds(place: str, value: Any, sent: str) -> Iterator[str]:
    if isinstance(value, list):
        if _is_embedding(value):
            yield "embedding"
        return
    if place.endswith(f".{PICTURE}"):
        return
    if isinstance(value, bytes):
        yield "bytes"
        return
    if place == "reply.logId" and _comes_from(value, sent):
        return
    if len(value) > LONGEST_TEXT and not value.startswith("[{"):  # a list of problems of a body
        yield "long text"
    for kind, told in TELLTALES.items():
        if told.search(value) and (kind, place) not in ON_PURPOSE:
            yield kind


def _is_embedding(values: list[Any]) -> bool:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return len(numbers) >= EMBEDDING_LENGTH and any(isinstance(v, float) for v in numbers)


def _comes_from(value: str, sent: str) -> bool:
    """Whether a request held this text, as it is or escaped."""
    return value in sent or json.dumps(value)[1:-1] in sent
