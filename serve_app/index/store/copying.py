"""Reading a gallery to copy it elsewhere, with what only a copy needs: when templates were added,
and kept answers. Functions of a connection; nothing here writes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from serve_app.index.copies.parts import CopiedRows, Ending, KeptAnswer
from serve_app.index.store.damage import read_gallery, read_page
from serve_app.index.store.schema import operation, template
from serve_app.index.store.sealed_rows import TEMPLATE, opened
from serve_app.index.store.writing import find
from serve_app.types import GalleryEntry, GalleryInfo


def copied_page(
    connection: Connection, info: GalleryInfo, after_id: int, limit: int | None
) -> CopiedRows:
    """Up to ``limit`` templates of ``info.generation`` with ids above ``after_id``, by id.

    Raises UnavailableError for a damaged row.
    """
    rows = connection.execute(
        select(*TEMPLATE, template.c.added_seq)
        .where(_of(info), template.c.removed_seq.is_(None), template.c.id > after_id)
        .order_by(template.c.id)
        .limit(limit)
    ).all()
    return CopiedRows(
        read_page(opened(connection, info.key, info.generation, rows), info.dimension, after_id),
        [row.added_seq for row in rows],
    )


def copied_ending(connection: Connection, info: GalleryInfo, after_id: int) -> Ending | None:
    """How the gallery stands now, after pages that were read since ``info`` up to ``after_id``.

    None if that can't be told: it is gone, was built anew, or its history was pruned meanwhile.
    To be called where all queries see one state.
    """
    row = find(connection, info.key)
    if row is None:
        return None
    now = read_gallery(row)
    if now.generation != info.generation or info.seq < row.floor_seq:
        return None
    removed = select(template.c.id).where(
        _of(info), template.c.removed_seq > info.seq, template.c.id <= after_id
    )
    # Their effects are in the copy: whoever sends such an operation again must not have it twice.
    answers = (
        select(operation)
        .where(operation.c.generation == info.generation, operation.c.seq <= row.seq)
        .order_by(operation.c.id)
    )
    return Ending(
        GalleryEntry(now, row.created_at, row.changed_at),
        list(connection.execute(removed.order_by(template.c.id)).scalars()),
        copied_page(connection, info, after_id, None),
        [_answer(each._mapping) for each in connection.execute(answers)],
    )


def _of(info: GalleryInfo) -> ColumnElement[bool]:
    return template.c.generation == info.generation


def _answer(row: Any) -> KeptAnswer:
    return KeptAnswer(
        id=row["id"],
        digest=row["digest"],
        seq=row["seq"],
        ids=row["ids"],
        count=row["count"],  # as an attribute it would be the tuple's method
        note=row["note"],
        created_at=row["created_at"],
    )
