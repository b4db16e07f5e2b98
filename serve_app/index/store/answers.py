"""Kept answers: what makes an operation that is sent again answer as it did, and do nothing.

They hold ids and counts, never labels or embeddings.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from serve_app.errors import OperationReusedError
from serve_app.index.store.schema import operation
from serve_app.types import Operation


@dataclass(frozen=True, slots=True)
class Answered:
    """What an operation did: ``seq`` is the gallery's after it. ``fresh``: it did so just now."""

    key: str
    generation: str
    seq: int
    ids: list[int]
    count: int
    note: str
    fresh: bool = False


def kept(connection: Connection, asked: Operation) -> Answered | None:
    """What ``asked`` was answered before, or None. Raises OperationReusedError if something else
    was asked then."""
    row = connection.execute(select(operation).where(operation.c.id == asked.id)).one_or_none()
    if row is None:
        return None
    if row.digest != asked.digest:
        raise OperationReusedError(
            "this Idempotency-Key was used for another request: send a new key, or the same body"
        )
    # row.count would be the tuple's method
    return Answered(
        row.key, row.generation, row.seq, _expanded(row.ids), row._mapping["count"], row.note
    )


def keep(
    connection: Connection,
    asked: Operation,
    key: str,
    generation: str,
    seq: int,
    ids: list[int],
    count: int,
) -> Answered:
    """Write down what ``asked`` did."""
    connection.execute(
        insert(operation).values(
            id=asked.id,
            digest=asked.digest,
            key=key,
            generation=generation,
            seq=seq,
            ids=_compact(ids),
            count=count,
            note=asked.note,
            created_at=time.time(),
        )
    )
    return Answered(key, generation, seq, ids, count, asked.note, fresh=True)


def _compact(ids: list[int]) -> str:
    """Ascending ids; a run of them, as every enrolment has, as its two ends."""
    if len(ids) > 2 and ids[-1] - ids[0] == len(ids) - 1:
        return json.dumps({"first": ids[0], "last": ids[-1]})
    return json.dumps(ids)


def _expanded(text: str) -> list[int]:
    ids = json.loads(text)
    return list(range(ids["first"], ids["last"] + 1)) if isinstance(ids, dict) else ids
