"""A staged gallery takes its place, in one transaction; and back. Functions of a connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select
from sqlalchemy.exc import IntegrityError

from serve_app.errors import (
    FaceServeError,
    GalleryExistsError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.records import Moment, TemplateRows, check_fits
from serve_app.index.store import auditing, job_rows
from serve_app.index.store.access_rows import limited_now
from serve_app.index.store.auditing import Entry
from serve_app.index.store.damage import read_gallery, read_templates
from serve_app.index.store.forgetting import forget_previous, previous_key
from serve_app.index.store.room import check_room
from serve_app.index.store.schema import (
    PREVIOUS,
    READY,
    gallery,
    lease,
    operation,
    snapshot,
    template,
)
from serve_app.index.store.sealed_rows import TEMPLATE, opened
from serve_app.index.store.sources import move_sources
from serve_app.index.store.succeeding import take_over
from serve_app.index.store.writing import change_gallery, insert_templates
from serve_app.tenancy import tenant_of
from serve_app.types import OPERATOR, Caller, Embeddings, GalleryInfo, JobMode, JobState

PAGE = 10_000
PUBLISHING = "publishing/"
"""Begins the name of the lease of a generation that replicas should read before it is served."""


def publish(
    connection: Connection,
    job_id: str,
    holder: str,
    message: str,
    compatible_with: frozenset[str] = frozenset(),
    in_place_of: Moment | None = None,
) -> GalleryInfo:
    """What the job staged is the gallery of its key, or at the end of it, and the job is done.

    With ``append`` the templates get the gallery's next ids. ``in_place_of``: what it was made of;
    see ``succeeding.take_over``. Raises JobLostError, GalleryExistsError, GalleryNotFoundError,
    GalleryMismatchError.
    """
    row = job_rows.held(connection, job_id, holder)
    ids: Sequence[int] = ()  # of a whole gallery they are not told
    target, base = _pair(connection, row.key, row.generation)
    if base is None:
        raise UnavailableError("what the job staged is gone: give it another job id")
    there = target is not None
    replaced = target.size if target is not None and row.mode != JobMode.APPEND else 0
    check_room(
        connection,
        limited_now(connection, job_rows.caller_of(row)),
        faces=base.size - replaced,
        galleries=0 if there else 1,
    )
    match JobMode(row.mode):
        case JobMode.APPEND:
            info = _append(connection, row.key, target, base, compatible_with)
            job_rows.change(connection, job_id, generation=info.generation)
            ids = range(info.next_id - base.size, info.next_id)
        case JobMode.CREATE if target is not None:
            raise _exists(row.key)
        case _:
            if in_place_of is not None:
                base = take_over(connection, target, base, in_place_of)
            info = _place(connection, row.key, target, base)
    job_rows.end(connection, job_id, JobState.DONE, message)
    by, count = job_rows.caller_of(row), len(ids) or info.size
    entry = Entry(row.key, by, _action(row), info.generation, info.seq, ids, count, job_id)
    auditing.write(connection, [entry])
    return info


def refused(connection: Connection, job_id: str, error: FaceServeError) -> None:
    """Tell that ``error`` kept the job from its gallery."""
    row = job_rows.locked(connection, job_id)
    auditing.refuse(connection, row.key, job_rows.caller_of(row), _action(row), error, job_id)


def previous(connection: Connection, key: str) -> GalleryInfo:
    """What a rollback would bring back. Raises GalleryNotFoundError if nothing was kept."""
    row = connection.execute(
        select(gallery).where(
            gallery.c.tenant == tenant_of(key), gallery.c.key == previous_key(key)
        )
    ).one_or_none()
    if row is None:
        raise GalleryNotFoundError(
            f"gallery {key} has nothing to go back to: it was not replaced, or something was "
            "removed from it since"
        )
    return read_gallery(row)


def rollback(
    connection: Connection, key: str, generation: str, by: Caller = OPERATOR
) -> GalleryInfo:
    """The gallery as it was before it was replaced, by ``generation``; what is there now can be had
    back likewise. Nothing is done if it is there already.

    Raises GalleryNotFoundError if it is not kept any more.
    """
    now, before = _pair(connection, key, generation)
    if before is not None and before.key == previous_key(key):
        info = _place(connection, key, now, before)
        entry = Entry(key, by, "rollback", info.generation, info.seq, count=info.size)
        auditing.write(connection, [entry])
        return info
    if now is not None and now.generation == generation:
        return read_gallery(now)  # by a commit whose answer was lost
    raise GalleryNotFoundError(
        f"gallery {key} can't go back any more: it was replaced, or something was removed from "
        "it, meanwhile"
    )


def _action(row: Row[Any]) -> str:
    """What the audit log calls a job's publication."""
    return f"job_{row.mode}"


def _exists(key: str) -> GalleryExistsError:
    return GalleryExistsError(f"gallery {key} exists already: it was made meanwhile")


def _pair(
    connection: Connection, key: str, generation: str | None
) -> tuple[Row[Any] | None, Row[Any] | None]:
    """The gallery of ``key`` and the one of ``generation``, locked in the order in which writers
    lock; with them what was there before, which may have to go."""
    keys = gallery.c.key.in_([key, previous_key(key)])
    query = select(gallery).where(
        gallery.c.tenant == tenant_of(key), or_(keys, gallery.c.generation == generation)
    )
    query = query.order_by(gallery.c.id).with_for_update()
    rows = connection.execute(query).all()
    if all(row.key != key for row in rows):
        rows = connection.execute(query).all()  # while it waited, another may have got the key
    return (
        next((row for row in rows if row.key == key), None),
        next((row for row in rows if row.generation == generation and row.key != key), None),
    )


def _place(connection: Connection, key: str, target: Row[Any] | None, new: Row[Any]) -> GalleryInfo:
    """``new`` under ``key``; what was there is kept as the previous one."""
    now = time.time()
    if new.key != previous_key(key):
        forget_previous(connection, key)
    change_gallery(connection, new, key=f"switch:{key}")  # a key is one gallery's at any moment
    if target is not None:
        change_gallery(connection, target, key=previous_key(key), state=PREVIOUS)
        # What was done to the old one was not done to the new one: sent again, it is to be.
        connection.execute(delete(operation).where(operation.c.generation == target.generation))
        # No upkeep makes these anew without what was removed: they would keep it for ever.
        connection.execute(
            delete(snapshot).where(
                snapshot.c.generation == target.generation, snapshot.c.seq < target.removed_seq
            )
        )
    try:
        with connection.begin_nested():
            change_gallery(connection, new, key=key, state=READY, changed_at=now)
    except IntegrityError:  # somebody has just created one
        raise _exists(key) from None
    connection.execute(delete(lease).where(lease.c.name == PUBLISHING + new.generation))
    row = connection.execute(select(gallery).where(gallery.c.id == new.id)).one()
    return read_gallery(row)


def _append(
    connection: Connection,
    key: str,
    target: Row[Any] | None,
    base: Row[Any],
    compatible_with: frozenset[str],
) -> GalleryInfo:
    if target is None:
        raise GalleryNotFoundError(f"gallery {key} does not exist any more")
    seq, next_id, last = target.seq + 1, target.next_id, -1
    while rows := _page(connection, base, last):
        _check(target, base, rows, compatible_with)
        count = len(rows.ids)
        ids = range(next_id, next_id + count)
        insert_templates(connection, target, ids, seq, rows.labels, rows.vectors)
        move_sources(connection, base, rows.ids, target, ids)
        next_id, last = ids.stop, rows.ids[-1]
    change_gallery(
        connection,
        target,
        seq=seq,
        next_id=next_id,
        size=target.size + next_id - target.next_id,
        changed_at=time.time(),
    )
    connection.execute(delete(gallery).where(gallery.c.id == base.id))
    return read_gallery(connection.execute(select(gallery).where(gallery.c.id == target.id)).one())


def _page(connection: Connection, base: Row[Any], last: int) -> TemplateRows | None:
    query = select(*TEMPLATE).where(
        template.c.generation == base.generation,
        template.c.id > last,
        template.c.removed_seq.is_(None),  # erased before it was published
    )
    rows = connection.execute(query.order_by(template.c.id).limit(PAGE)).all()
    if not rows:
        return None
    return read_templates(opened(connection, base.key, base.generation, rows), base.dimension)


def _check(
    target: Row[Any], base: Row[Any], rows: TemplateRows, compatible_with: frozenset[str]
) -> None:
    check_fits(read_gallery(target), Embeddings(base.model_id, rows.vectors, compatible_with))
