"""Rows with embeddings, labels and paths, as they are written and read: sealed where the database
is encrypted, else plain. Functions of a connection.

Rows that were written before encryption was turned on are plain (``key_version`` NULL) and stay
readable beside the others until they are sealed by a rotation.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, case, or_

from serve_app.encryption import DataKey, TenantKeys, UnreadableError
from serve_app.encryption.pairs import Kind, open_pairs, seal_pairs
from serve_app.errors import UnavailableError
from serve_app.index.records import DAMAGED, OPENED, check_of, label_digest
from serve_app.index.store.data_keys import opening, present, sealing
from serve_app.index.store.schema import template
from serve_app.tenancy import tenant_of
from serve_app.types import Vectors

TEMPLATE = (
    template.c.id,
    template.c.label,
    template.c.embedding,
    template.c.crc,
    template.c.key_version,
)
"""What ``opened`` takes."""

LABELS = (
    template.c.id,
    template.c.label,
    case((template.c.key_version.is_not(None), template.c.embedding), else_=None).label(
        "embedding"
    ),
    template.c.crc,
    template.c.key_version,
)
"""What ``labels_of`` takes: a plain row comes without its embedding, which is most of it."""

Opened = tuple[int, str, bytes, int]


def encoded(label: str) -> bytes:
    return label.encode("utf-8", "surrogatepass")


def decoded(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def template_rows_of(
    connection: Connection,
    key: str,
    generation: str,
    ids: Sequence[int],
    labels: Sequence[str],
    vectors: Vectors,
    added: Sequence[int],
) -> list[dict[str, Any]]:
    """Rows of the table ``template`` for the gallery ``key``. ``vectors``: (N, D) float32."""
    if not len(ids) == len(labels) == len(vectors):
        raise ValueError(f"{len(ids)} ids and {len(labels)} labels for {len(vectors)} embeddings")
    if not labels:
        return []
    blobs = [row.tobytes() for row in np.ascontiguousarray(vectors, dtype="<f4")]
    keys = sealing(connection, tenant_of(key))
    contents = template_contents(keys, generation, ids, labels, blobs)
    return [
        {"generation": generation, "id": number, "added_seq": seq, **content}
        for number, seq, content in zip(ids, added, contents, strict=True)
    ]


def template_contents(
    keys: TenantKeys | None,
    generation: str,
    ids: Sequence[int],
    labels: Sequence[str],
    blobs: Sequence[bytes],
) -> list[dict[str, Any]]:
    """What of a template's row depends on its label and embedding."""
    if keys is None:
        return [
            {
                "label": label,
                "label_digest": label_digest(label),
                "embedding": blob,
                "crc": check_of(number, label, blob),
                "key_version": None,
            }
            for number, label, blob in zip(ids, labels, blobs, strict=True)
        ]
    key = keys.newest
    names = [encoded(label) for label in labels]
    sealed = seal_pairs(key, Kind.TEMPLATE, generation, ids, blobs, names)
    owner, version, digest = generation.encode(), key.version, key.digest
    digests = {name: digest(owner, name) for name in set(names)}
    return [
        {
            "label": None,
            "label_digest": digests[name],
            "embedding": content,
            "crc": _check_of_sealed(number, content),
            "key_version": version,
        }
        for number, name, content in zip(ids, names, sealed, strict=True)
    ]


def opened(connection: Connection, key: str, generation: str, rows: Sequence[Any]) -> list[Opened]:
    """Rows of ``TEMPLATE``'s columns, for ``damage.read_templates``, in their order. Those that
    were sealed are authentic; the others' checks are still to be made.

    Raises UnavailableError for damage, and where there is no key.
    """
    if all(row[4] is None for row in rows):
        if any(row[3] == OPENED for row in rows):
            raise UnavailableError(DAMAGED)
        return [tuple(row[:4]) for row in rows]
    found: dict[int, Opened] = {}
    for version in {row[4] for row in rows}:
        part = [row for row in rows if row[4] == version]
        if version is None:
            plain = opened(connection, key, generation, part)
            found |= {row[0]: row for row in plain}
            continue
        for row in part:
            if not isinstance(row[2], bytes) or row[3] != _check_of_sealed(row[0], row[2]):
                raise UnavailableError(DAMAGED)
        data_key = _opening(connection, key, version)
        ids, contents = [row[0] for row in part], [row[2] for row in part]
        pairs = _open(data_key, Kind.TEMPLATE, generation, ids, contents)
        for number, (blob, name) in zip(ids, pairs, strict=True):
            found[number] = (number, decoded(name), blob, OPENED)
    if len(found) != len(rows):
        raise UnavailableError(DAMAGED)
    return [found[row[0]] for row in rows]


def labels_of(
    connection: Connection, key: str, generation: str, rows: Sequence[Any]
) -> dict[int, str]:
    """Ids and labels of rows of ``LABELS``' columns."""
    return {row[0]: row[1] for row in opened(connection, key, generation, rows)}


def of_label(
    connection: Connection, key: str, generation: str, label: str, *, held: bool
) -> ColumnElement[bool]:
    """Whether a template's row is of ``label``. ``held``: to be acted on, so that no row is sealed
    anew before the transaction is over. Else call it where all queries see one state."""
    plain = and_(
        template.c.key_version.is_(None),
        template.c.label_digest == label_digest(label),
        template.c.label == label,
    )
    keys = (sealing if held else present)(connection, tenant_of(key))
    if keys is None:  # any that is sealed may be: whoever opens it is told that it's locked
        return or_(plain, template.c.key_version.is_not(None))
    owner, name = generation.encode(), encoded(label)
    return or_(
        plain,
        *(
            and_(
                template.c.key_version == version,
                template.c.label_digest == each.digest(owner, name),
            )
            for version, each in keys.versions.items()
        ),
    )


# Text columns: base64 of what is sealed


def seal_texts(
    connection: Connection,
    key: str,
    kind: Kind,
    owner: str,
    numbers: Sequence[int],
    firsts: Sequence[str],
    seconds: Sequence[str],
) -> list[tuple[str, str, int | None]]:
    """``firsts`` and ``seconds`` of rows with ``numbers``, as their columns have them, and the
    version of the key. ``key``: of the gallery, or a job's id."""
    keys = sealing(connection, tenant_of(key))
    return sealed_texts(keys, kind, owner, numbers, firsts, seconds)


def sealed_texts(
    keys: TenantKeys | None,
    kind: Kind,
    owner: str,
    numbers: Sequence[int],
    firsts: Sequence[str],
    seconds: Sequence[str],
) -> list[tuple[str, str, int | None]]:
    if keys is None:
        return [(first, second, None) for first, second in zip(firsts, seconds, strict=True)]
    key = keys.newest
    left, right = [encoded(text) for text in firsts], [encoded(text) for text in seconds]
    sealed = seal_pairs(key, kind, owner, numbers, left, right)
    return [(base64.b64encode(each).decode(), "", key.version) for each in sealed]


def texts_opener(
    connection: Connection, key: str, kind: Kind, owner: str
) -> Callable[[int, str, str, int | None], tuple[str, str]]:
    """Gives both texts of a row: of its number, its two columns and its key's version. Raises
    UnavailableError."""

    def texts(number: int, first: str, second: str, version: int | None) -> tuple[str, str]:
        if version is None:
            return first, second
        try:
            sealed = base64.b64decode(first, validate=True)
        except (binascii.Error, ValueError):
            raise UnavailableError(DAMAGED) from None
        data_key = _opening(connection, key, version)
        ((left, right),) = _open(data_key, kind, owner, [number], [sealed])
        return decoded(left), decoded(right)

    return texts


def _opening(connection: Connection, key: str, version: object) -> DataKey:
    if not isinstance(version, int):
        raise UnavailableError(DAMAGED)
    return opening(connection, tenant_of(key), version)


def _open(
    key: DataKey, kind: Kind, owner: str, numbers: Sequence[int], sealed: Sequence[bytes]
) -> list[tuple[bytes, bytes]]:
    try:
        return open_pairs(key, kind, owner, numbers, sealed)
    except UnreadableError:
        raise UnavailableError(DAMAGED) from None


def _check_of_sealed(number: int, content: bytes) -> int:
    """So that damage is found without the key too."""
    return zlib.crc32(content, number & 0xFFFFFFFF)
