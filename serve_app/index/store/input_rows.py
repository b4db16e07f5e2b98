"""What became of the rows of a job's input: the table ``job_row``, sealed where the database is
encrypted. Functions of a connection.

Of a sealed row, ``source`` holds all three of source, label and the image's digest; the column
``digest`` is what it is looked up by, as a label is (``DataKey.digest``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from serve_app.encryption import TenantKeys
from serve_app.encryption.pairs import Kind
from serve_app.index.staged import RowOutcome, SettledRow
from serve_app.index.store.data_keys import sealing
from serve_app.index.store.forgetting import IDS_A_STATEMENT
from serve_app.index.store.schema import job_row
from serve_app.index.store.sealed_rows import sealed_texts, texts_opener
from serve_app.tenancy import tenant_of


def keep_rows(connection: Connection, job_id: str, rows: Iterable[SettledRow]) -> None:
    """What the report tells, and what later images are compared with."""
    kept = [row for row in rows if row.digest is not None or row.outcome is not RowOutcome.ACCEPTED]
    if not kept:
        return
    contents = row_contents(sealing(connection, tenant_of(job_id)), job_id, kept)
    connection.execute(
        insert(job_row),
        [
            {
                "job": job_id,
                "position": row.position,
                "outcome": str(row.outcome),
                "reason": row.reason,
                "same_as": row.same_as,
                **content,
            }
            for row, content in zip(kept, contents, strict=True)
        ],
    )


def row_contents(
    keys: TenantKeys | None, job_id: str, rows: Sequence[SettledRow]
) -> list[dict[str, Any]]:
    """What of a row's columns tells who or what it is of."""
    if keys is None:
        return [
            {"source": row.source, "label": row.label, "digest": row.digest, "key_version": None}
            for row in rows
        ]
    sealed = sealed_texts(
        keys,
        Kind.JOB_ROW,
        job_id,
        [row.position for row in rows],
        [row.source for row in rows],
        [f"{(row.digest or b'').hex()}:{row.label}" for row in rows],
    )
    digest, owner = keys.newest.digest, job_id.encode()
    return [
        {
            "source": source,
            "label": label,
            "digest": None if row.digest is None else digest(owner, row.digest),
            "key_version": version,
        }
        for row, (source, label, version) in zip(rows, sealed, strict=True)
    ]


def reader(connection: Connection, job_id: str) -> Callable[[Any], SettledRow]:
    """Makes a value of a row of the table. Raises UnavailableError."""
    texts = texts_opener(connection, job_id, Kind.JOB_ROW, job_id)

    def read(row: Any) -> SettledRow:
        source, label = texts(row.position, row.source, row.label, row.key_version)
        digest = row.digest
        if row.key_version is not None:
            content, _, label = label.partition(":")
            digest = bytes.fromhex(content) or None
        return SettledRow(
            position=row.position,
            source=source,
            label=label,
            outcome=RowOutcome(row.outcome),
            reason=row.reason,
            digest=digest,
            same_as=row.same_as,
        )

    return read


def first_positions(
    connection: Connection, job_id: str, digests: Sequence[bytes]
) -> dict[bytes, int]:
    """Where images came first."""
    first: dict[bytes, int] = {}
    for row, digest in _of_images(connection, job_id, digests):
        if row.same_as is None:  # however often they came again
            first[digest] = row.position
    return first


def enrolled(
    connection: Connection, job_id: str, digests: Sequence[bytes], labels: set[str]
) -> set[tuple[bytes, str]]:
    """Images and labels that were enrolled. A row that was rejected is nobody's: the next one of
    its image is not left out for it."""
    read = reader(connection, job_id)
    found: set[tuple[bytes, str]] = set()
    for row, digest in _of_images(connection, job_id, digests):
        if row.outcome == RowOutcome.ACCEPTED and (label := read(row).label) in labels:
            found.add((digest, label))
    return found


def _of_images(
    connection: Connection, job_id: str, digests: Sequence[bytes]
) -> Iterable[tuple[Any, bytes]]:
    """Rows, with the digest that was asked for."""
    names = {digest: digest for digest in digests}
    if keys := sealing(connection, tenant_of(job_id)):
        owner = job_id.encode()
        for key in keys.versions.values():
            names |= {key.digest(owner, digest): digest for digest in digests}
    asked = list(names)
    for start in range(0, len(asked), IDS_A_STATEMENT):
        query = select(job_row).where(
            job_row.c.job == job_id,
            job_row.c.digest.in_(asked[start : start + IDS_A_STATEMENT]),
        )
        yield from ((row, names[bytes(row.digest)]) for row in connection.execute(query).all())
