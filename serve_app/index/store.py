"""The truth about galleries: a relational database, one transaction a mutation.

A mutation locks its gallery's row, takes ids and the next sequence number from that row (never from
a database sequence: commits would be out of order), writes, commits, and only then returns. Knows
nothing of FAISS. Synchronous and thread-safe.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, and_, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from serve_app.errors import (
    GalleryExistsError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.engine import BUSY_TIMEOUT_S, WRITE, erase_log, open_engine
from serve_app.index.records import (
    Changes,
    TemplateRows,
    check_fits,
    gallery_info,
    template_rows,
)
from serve_app.index.schema import gallery, template
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Receipt, Vectors

logger = logging.getLogger(__name__)

IDS_A_STATEMENT = 500
TENANT = ""  # tenants come with API keys; every row has the column already


class GalleryStore:
    """Galleries and templates in the database at ``url`` (SQLAlchemy's form).

    Every method raises UnavailableError where the database does not answer, after
    ``busy_timeout_s`` seconds if it is locked. ``create`` False: the database must be there.
    """

    def __init__(
        self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S, create: bool = True
    ) -> None:
        self._engine = open_engine(url, busy_timeout_s, create=create)

    def close(self) -> None:
        self._engine.dispose()

    def create(
        self,
        key: str,
        index_type: IndexType,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
    ) -> Receipt:
        """A new gallery with its first templates, ids from 0. Raises GalleryExistsError."""
        generation = uuid.uuid4().hex
        with self._transaction(write=True) as connection:
            try:
                connection.execute(
                    insert(gallery).values(
                        tenant=TENANT,
                        key=key,
                        generation=generation,
                        index_type=str(index_type),
                        metric=str(metric),
                        dimension=embeddings.vectors.shape[1],
                        model_id=embeddings.model_id,
                        next_id=len(labels),
                        size=len(labels),
                        seq=1,
                    )
                )
            except IntegrityError:
                raise GalleryExistsError(
                    f"gallery {key} exists already; add to it or choose another indexKey"
                ) from None
            _insert_templates(connection, generation, 0, 1, labels, embeddings.vectors)
            ids = list(range(len(labels)))
            return _receipt(connection, generation, ids, len(labels), with_labels=with_labels)

    def add(
        self, key: str, labels: Sequence[str], embeddings: Embeddings, *, with_labels: bool
    ) -> Receipt:
        """Append templates. Raises GalleryNotFoundError, GalleryMismatchError."""
        with self._transaction(write=True) as connection:
            row = _locked(connection, key)
            check_fits(gallery_info(row), embeddings)
            first, seq = row.next_id, row.seq + 1
            _insert_templates(connection, row.generation, first, seq, labels, embeddings.vectors)
            count = row.size + len(labels)
            if labels:
                _advance(connection, row, seq=seq, next_id=first + len(labels), size=count)
            ids = list(range(first, first + len(labels)))
            return _receipt(connection, row.generation, ids, count, with_labels=with_labels)

    def remove(self, key: str, ids: Sequence[int], *, with_labels: bool) -> Receipt:
        """Remove those of ``ids`` that are there; others are ignored. Raises GalleryNotFoundError.

        Their labels and embeddings are overwritten, the row stays as a tombstone.
        """
        with self._transaction(write=True) as connection:
            row = _locked(connection, key)
            wanted = sorted({number for number in ids if 0 <= number < row.next_id})
            removed: list[int] = []
            for start in range(0, len(wanted), IDS_A_STATEMENT):
                chosen = and_(
                    template.c.generation == row.generation,
                    template.c.id.in_(wanted[start : start + IDS_A_STATEMENT]),
                    template.c.removed_seq.is_(None),
                )
                removed += connection.execute(select(template.c.id).where(chosen)).scalars()
                connection.execute(
                    update(template)
                    .where(chosen)
                    .values(removed_seq=row.seq + 1, label=None, embedding=None)
                )
            count = row.size - len(removed)
            if removed:
                _advance(connection, row, seq=row.seq + 1, next_id=row.next_id, size=count)
            receipt = _receipt(connection, row.generation, removed, count, with_labels=with_labels)
        if removed:
            erase_log(self._engine)
        return receipt

    def describe(self, keys: Sequence[str]) -> dict[str, GalleryInfo]:
        """Facts of those galleries that exist, in one query."""
        with self._transaction() as connection:
            rows = connection.execute(
                select(gallery).where(gallery.c.tenant == TENANT, gallery.c.key.in_(keys))
            )
            return {row.key: gallery_info(row) for row in rows}

    def changes(self, known: GalleryInfo) -> Changes | None:
        """What happened after ``known``, or None if that can't be told: the gallery is gone, was
        built anew, or its history back to ``known.seq`` was pruned. Read the gallery whole then.
        """
        with self._transaction() as connection:
            row = _find(connection, known.key)
            if row is None or row.generation != known.generation or known.seq < row.floor_seq:
                return None
            added = select(template).where(
                template.c.generation == row.generation,
                template.c.added_seq > known.seq,
                template.c.removed_seq.is_(None),
            )
            removed = select(template.c.id).where(
                template.c.generation == row.generation,
                template.c.removed_seq > known.seq,
            )
            return Changes(
                gallery_info(row),
                template_rows(
                    connection.execute(added.order_by(template.c.id)).all(), row.dimension
                ),
                list(connection.execute(removed).scalars()),
            )

    def page(self, info: GalleryInfo, after_id: int, limit: int) -> TemplateRows:
        """Up to ``limit`` templates of ``info.generation`` with ids above ``after_id``, by id.

        Pages are separate transactions: replay ``changes(info)`` after the last one.
        """
        query = (
            select(template)
            .where(
                template.c.generation == info.generation,
                template.c.id > after_id,
                template.c.removed_seq.is_(None),
            )
            .order_by(template.c.id)
            .limit(limit)
        )
        with self._transaction() as connection:
            return template_rows(connection.execute(query).all(), info.dimension)

    @contextlib.contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[Connection]:
        try:
            connection = self._engine.connect().execution_options(**{WRITE: write})
            with connection, connection.begin():
                yield connection
        except (DBAPIError, PoolTimeoutError) as error:
            # The error's text holds the statement's parameters: labels and embeddings.
            logger.error("database: %s", type(getattr(error, "orig", error)).__name__)
            raise UnavailableError("the gallery store is unavailable; try again shortly") from None


def _find(connection: Connection, key: str, *, lock: bool = False) -> Row[Any] | None:
    query = select(gallery).where(gallery.c.tenant == TENANT, gallery.c.key == key)
    # SQLite's BEGIN IMMEDIATE has the whole file already and ignores FOR UPDATE.
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


def _locked(connection: Connection, key: str) -> Row[Any]:
    row = _find(connection, key, lock=True)
    if row is None:
        raise GalleryNotFoundError(f"gallery {key} does not exist; build it first")
    return row


def _advance(connection: Connection, row: Row[Any], *, seq: int, next_id: int, size: int) -> None:
    connection.execute(
        update(gallery).where(gallery.c.id == row.id).values(seq=seq, next_id=next_id, size=size)
    )


def _insert_templates(
    connection: Connection,
    generation: str,
    first_id: int,
    seq: int,
    labels: Sequence[str],
    vectors: Vectors,
) -> None:
    if len(labels) != len(vectors):
        raise ValueError(f"{len(labels)} labels for {len(vectors)} embeddings")
    if not labels:
        return  # SQLAlchemy takes an empty list for one row of defaults
    blobs = np.ascontiguousarray(vectors, dtype="<f4")
    connection.execute(
        insert(template),
        [
            {
                "generation": generation,
                "id": first_id + position,
                "label": label,
                "embedding": blobs[position].tobytes(),
                "added_seq": seq,
            }
            for position, label in enumerate(labels)
        ],
    )


def _receipt(
    connection: Connection, generation: str, ids: list[int], count: int, *, with_labels: bool
) -> Receipt:
    if not with_labels:
        return Receipt(ids, count)
    rows = connection.execute(
        select(template.c.id, template.c.label)
        .where(template.c.generation == generation, template.c.removed_seq.is_(None))
        .order_by(template.c.id)
    )
    return Receipt(ids, count, {row.id: row.label for row in rows})
