"""What each mutation does within a transaction.

A mutation locks its gallery's row, takes ids and the next sequence number from that row (never from
a database sequence: commits would be out of order), writes, and keeps its answer under its
operation. Functions of a connection; committing is the caller's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from serve_app.errors import (
    GalleryExistsError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.mutations import (
    Add,
    Create,
    Drop,
    Mutation,
    Optimize,
    Remove,
    RemoveLabel,
)
from serve_app.index.records import DAMAGED, check_fits
from serve_app.index.store.answers import Answered, keep, kept
from serve_app.index.store.damage import check_of_gallery, read_gallery
from serve_app.index.store.forgetting import clear_templates, forget_previous
from serve_app.index.store.living import check_living
from serve_app.index.store.room import check_room
from serve_app.index.store.schema import HIDDEN, gallery, template
from serve_app.index.store.sealed_rows import LABELS, labels_of, of_label, template_rows_of
from serve_app.tenancy import tenant_of
from serve_app.types import Receipt, Vectors


def perform(connection: Connection, mutation: Mutation) -> Answered:
    """Make ``mutation`` happen, or answer as it was answered before.

    Raises GalleryExistsError, GalleryNotFoundError, GalleryMismatchError, OperationReusedError;
    then the caller takes back what was written.
    """
    answered = kept(connection, mutation.operation)
    if answered is None and isinstance(mutation, Create):
        answered = _create(connection, mutation)
    if answered is None:
        row = _locked(connection, mutation.key)
        # Again: whoever held the lock may have been the same operation, sent twice at once.
        answered = kept(connection, mutation.operation) or _change(connection, row, mutation)
    return answered


def exists(key: str) -> GalleryExistsError:
    return GalleryExistsError(f"gallery {key} exists already; add to it or choose another indexKey")


def receipt(connection: Connection, answered: Answered, mutation: Mutation) -> Receipt:
    """What the caller is told. Labels are read anew: those that were removed since are gone."""
    labels = None
    if getattr(mutation, "with_labels", False):
        rows = connection.execute(
            select(*LABELS)
            .where(
                template.c.generation == answered.generation,
                template.c.added_seq <= answered.seq,
                template.c.removed_seq.is_(None),
            )
            .order_by(template.c.id)
        ).all()
        labels = labels_of(connection, answered.key, answered.generation, rows)
    return Receipt(answered.ids, answered.count, labels, answered.key, answered.note)


def find(connection: Connection, key: str, *, lock: bool = False) -> Row[Any] | None:
    query = select(gallery).where(
        gallery.c.tenant == tenant_of(key),
        gallery.c.key == key,
        gallery.c.state.not_in(HIDDEN),
    )
    if not lock:
        return connection.execute(query).one_or_none()
    query = query.with_for_update()  # SQLite has locked the whole file and ignores it
    # PostgreSQL waits for a row that is another key's then: look again for what took its place.
    return connection.execute(query).one_or_none() or connection.execute(query).one_or_none()


def _locked(connection: Connection, key: str) -> Row[Any]:
    row = find(connection, key, lock=True)
    if row is None:
        raise GalleryNotFoundError(f"gallery {key} does not exist; build it first")
    read_gallery(row)  # nothing is written beside damage
    return row


def _change(connection: Connection, row: Row[Any], mutation: Mutation) -> Answered:
    match mutation:
        case Add():
            return _add(connection, row, mutation)
        case Remove(ids=ids):
            wanted = sorted({number for number in ids if 0 <= number < row.next_id})
            return _remove(connection, row, wanted, mutation)
        case RemoveLabel(label=label):
            return _remove(connection, row, labelled(connection, row, label), mutation)
        case Optimize():
            change_gallery(connection, row, wanted_seq=row.seq)
        case Drop():
            forget_previous(connection, row.key)
            connection.execute(delete(gallery).where(gallery.c.id == row.id))
    return _answer(connection, row, row.seq, [], row.size, mutation)


def _create(connection: Connection, mutation: Create) -> Answered:
    now = time.time()
    count = len(mutation.labels)
    if find(connection, mutation.key) is not None:
        # It may be this very creation, sent twice and committed since it was looked for.
        if answered := kept(connection, mutation.operation):
            return answered
        raise exists(mutation.key)
    check_living(connection, tenant_of(mutation.key))
    check_room(connection, mutation.by, faces=count, galleries=1)
    facts = {
        "key": mutation.key,
        "generation": uuid.uuid4().hex,
        "index_type": str(mutation.index_type),
        "metric": str(mutation.metric),
        "dimension": mutation.embeddings.vectors.shape[1],
        "model_id": mutation.embeddings.model_id,
        "next_id": count,
        "size": count,
        "seq": 1,
        "floor_seq": 0,
    }
    connection.execute(
        insert(gallery).values(
            tenant=tenant_of(mutation.key),
            created_at=now,
            changed_at=now,
            crc=check_of_gallery(facts),
            **facts,
        )
    )
    row = _locked(connection, mutation.key)
    insert_templates(connection, row, range(count), 1, mutation.labels, mutation.embeddings.vectors)
    return _answer(connection, row, 1, list(range(count)), count, mutation)


def _add(connection: Connection, row: Row[Any], mutation: Add) -> Answered:
    check_fits(read_gallery(row), mutation.embeddings)
    check_room(connection, mutation.by, faces=len(mutation.labels))
    seq, count = row.seq, row.size + len(mutation.labels)
    ids = range(row.next_id, row.next_id + len(mutation.labels))
    if ids:
        seq += 1
        vectors = mutation.embeddings.vectors
        insert_templates(connection, row, ids, seq, mutation.labels, vectors)
        change_gallery(
            connection, row, seq=seq, next_id=ids.stop, size=count, changed_at=time.time()
        )
    return _answer(connection, row, seq, list(ids), count, mutation)


def _remove(
    connection: Connection, row: Row[Any], wanted: Sequence[int], mutation: Remove | RemoveLabel
) -> Answered:
    removed = clear_templates(connection, row.generation, wanted, row.seq + 1)
    seq, count = row.seq, row.size - len(removed)
    if removed:
        forget_previous(connection, row.key)
        seq += 1
        now = time.time()
        change_gallery(
            connection,
            row,
            seq=seq,
            size=count,
            removed_seq=seq,
            removed_at=row.removed_at or now,
            changed_at=now,
        )
    return _answer(connection, row, seq, removed, count, mutation)


def labelled(connection: Connection, row: Row[Any], label: str) -> list[int]:
    rows = connection.execute(
        select(*LABELS).where(
            template.c.generation == row.generation,
            template.c.removed_seq.is_(None),
            of_label(connection, row.key, row.generation, label, held=True),
        )
    ).all()
    found = labels_of(connection, row.key, row.generation, rows)
    if any(other != label for other in found.values()):
        raise UnavailableError(DAMAGED)
    return list(found)


def change_gallery(connection: Connection, row: Row[Any], **values: float | str) -> None:
    """New ``values`` of a locked row, with its check."""
    crc = check_of_gallery({**row._mapping, **values})
    connection.execute(update(gallery).where(gallery.c.id == row.id).values(crc=crc, **values))


def _answer(
    connection: Connection,
    row: Row[Any],
    seq: int,
    ids: list[int],
    count: int,
    mutation: Mutation,
) -> Answered:
    return keep(connection, mutation.operation, row.key, row.generation, seq, ids, count)


def insert_templates(
    connection: Connection,
    row: Row[Any],
    ids: Sequence[int],
    seq: int,
    labels: Sequence[str],
    vectors: Vectors,
) -> None:
    """Rows of templates with ``ids`` in the gallery of ``row``. ``vectors``: (N, D) float32."""
    rows = template_rows_of(
        connection, row.key, row.generation, ids, labels, vectors, [seq] * len(labels)
    )
    if rows:  # SQLAlchemy takes an empty list for one row of defaults
        connection.execute(insert(template), rows)
