"""Writing a gallery that was copied from elsewhere: ids, seq and kept answers stay, its generation
is new. Functions of a connection; committing is the caller's, so it is there whole or not at all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from serve_app.errors import GalleryExistsError, UnavailableError
from serve_app.index.copies.parts import Beginning, CopiedRows, Ending, KeptAnswer, Part
from serve_app.index.store import auditing
from serve_app.index.store.auditing import Entry
from serve_app.index.store.damage import check_of_gallery
from serve_app.index.store.forgetting import IDS_A_STATEMENT, forget_previous
from serve_app.index.store.living import check_living
from serve_app.index.store.schema import gallery, operation, template
from serve_app.index.store.sealed_rows import template_rows_of
from serve_app.index.store.writing import change_gallery, find
from serve_app.tenancy import tenant_of
from serve_app.types import Caller, GalleryEntry, GalleryInfo


def restore(
    connection: Connection,
    key: str,
    parts: Iterable[Part],
    *,
    replace: bool,
    action: str,
    by: Caller,
) -> GalleryInfo:
    """Write the gallery that ``parts`` make, as ``key``, in place of what is there if ``replace``;
    and tell of it as ``action``.

    Raises GalleryExistsError, what reading ``parts`` raises, and UnavailableError if they are not
    the whole gallery that they say they are.
    """
    present = find(connection, key, lock=True)
    if present is not None:
        if not replace:
            raise _exists(key)
        # Answers of what the old one did: it was not done to the new one. Nor is what that one
        # replaced what this one does.
        _forget_answers(connection, present.generation)
        forget_previous(connection, key)
        connection.execute(delete(gallery).where(gallery.c.id == present.id))
    generation = ""
    for part in parts:
        match part:
            case Beginning(entry=entry):
                if generation:
                    connection.execute(delete(gallery).where(gallery.c.generation == generation))
                generation = _begin(connection, key, entry)
            case CopiedRows():
                _insert(connection, key, generation, part)
            case Ending():
                info = _end(connection, key, generation, part)
                auditing.write(
                    connection, [Entry(key, by, action, generation, info.seq, count=info.size)]
                )
                return info
    raise UnavailableError(f"gallery {key}: its copy has no end")


def _exists(key: str) -> GalleryExistsError:
    return GalleryExistsError(f"gallery {key} exists already; choose another key or drop it first")


def _begin(connection: Connection, key: str, entry: GalleryEntry) -> str:
    check_living(connection, tenant_of(key))
    generation = uuid.uuid4().hex
    info = entry.info
    facts = {
        "key": key,
        "generation": generation,
        "index_type": str(info.index_type),
        "metric": str(info.metric),
        "dimension": info.dimension,
        "model_id": info.model_id,
        "next_id": 0,
        "size": 0,
        "seq": 0,
        "floor_seq": 0,
    }
    try:
        connection.execute(
            insert(gallery).values(
                tenant=tenant_of(key),
                created_at=entry.created_at,
                crc=check_of_gallery(facts),
                **facts,
            )
        )
    except IntegrityError:  # somebody was first
        raise _exists(key) from None
    return generation


def _end(connection: Connection, key: str, generation: str, ending: Ending) -> GalleryInfo:
    for start in range(0, len(ending.removed), IDS_A_STATEMENT):
        chosen = ending.removed[start : start + IDS_A_STATEMENT]
        connection.execute(
            delete(template).where(template.c.generation == generation, template.c.id.in_(chosen))
        )
    _insert(connection, key, generation, ending.late)
    info = ending.entry.info
    _check(connection, key, generation, info)
    row = connection.execute(select(gallery).where(gallery.c.generation == generation)).one()
    change_gallery(
        connection,
        row,
        next_id=info.next_id,
        size=info.size,
        seq=info.seq,
        floor_seq=info.seq,  # no tombstones came along
        changed_at=ending.entry.changed_at,
    )
    _keep(connection, key, generation, ending.answers)
    return GalleryInfo(
        key,
        generation,
        info.seq,
        info.index_type,
        info.metric,
        info.dimension,
        info.model_id,
        info.size,
        info.next_id,
    )


def _check(connection: Connection, key: str, generation: str, info: GalleryInfo) -> None:
    """Against a source whose rows are fewer or more than it says."""
    count, last = connection.execute(
        select(func.count(), func.max(template.c.id)).where(template.c.generation == generation)
    ).one()
    if count != info.size:
        raise UnavailableError(f"gallery {key} should have {info.size} templates, {count} came")
    if count and last >= info.next_id:
        raise UnavailableError(f"gallery {key} has a template {last}, its next is {info.next_id}")


def _insert(connection: Connection, key: str, generation: str, rows: CopiedRows) -> None:
    templates = rows.templates
    made = template_rows_of(
        connection,
        key,
        generation,
        templates.ids,
        templates.labels,
        templates.vectors,
        rows.added,
    )
    if made:  # SQLAlchemy takes an empty list for one row of defaults
        connection.execute(insert(template), made)


def _forget_answers(connection: Connection, generation: str) -> None:
    connection.execute(delete(operation).where(operation.c.generation == generation))


def _keep(connection: Connection, key: str, generation: str, answers: Sequence[KeptAnswer]) -> None:
    """An operation that is known here already, of a gallery that is gone, is told by the copy."""
    for start in range(0, len(answers), IDS_A_STATEMENT):
        chosen = answers[start : start + IDS_A_STATEMENT]
        ids = [answer.id for answer in chosen]
        connection.execute(delete(operation).where(operation.c.id.in_(ids)))
        connection.execute(
            insert(operation),
            [
                {
                    "id": answer.id,
                    "digest": answer.digest,
                    "key": key,
                    "generation": generation,
                    "seq": answer.seq,
                    "ids": answer.ids,
                    "count": answer.count,
                    "note": answer.note,
                    "created_at": answer.created_at,
                }
                for answer in chosen
            ],
        )
