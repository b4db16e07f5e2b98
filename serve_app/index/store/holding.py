"""Everything that is held about a label of a tenant: in galleries as they are served, kept for a
rollback or staged by a job, and in what is kept of the jobs' inputs. Functions of a connection;
nothing here writes.

Labels are compared where they are read (``reading.templates``, ``input_rows.reader``), as
encrypted ones must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, and_, or_, select

from serve_app.encryption.pairs import Kind
from serve_app.held import HeldPage, HeldPlace, HeldRow, HeldTemplate, Where
from serve_app.index.staged import SettledRow
from serve_app.index.store import audit_reading, reading
from serve_app.index.store.damage import read_gallery, read_templates
from serve_app.index.store.forgetting import IDS_A_STATEMENT, previous_key
from serve_app.index.store.input_rows import reader
from serve_app.index.store.schema import (
    PREVIOUS,
    STAGING,
    gallery,
    job,
    job_row,
    template,
    template_source,
)
from serve_app.index.store.sealed_rows import TEMPLATE, opened, texts_opener
from serve_app.locations import without_secrets
from serve_app.tenancy import bare, owned

PAGE = 10_000


def page(
    connection: Connection, tenant: str, label: str, after: HeldPlace, limit: int, embeddings: bool
) -> HeldPage:
    """Up to ``limit`` templates and rows after a place, templates first."""
    found = list(islice(_items(connection, tenant, label, after, limit + 1, embeddings), limit + 1))
    more, items = len(found) > limit, [item for _, item in found[:limit]]
    return HeldPage(
        [item for item in items if isinstance(item, HeldTemplate)],
        [item for item in items if isinstance(item, HeldRow)],
        found[limit - 1][0] if more else None,
    )


def galleries(connection: Connection, tenant: str, first: int = 0) -> list[Row[Any]]:
    """All of a tenant, whatever their state, by the numbers of their rows from ``first`` on; with
    ``job_id`` and ``job_key`` of the job that stages one."""
    staged = and_(job.c.generation == gallery.c.generation, gallery.c.state == STAGING)
    query = (
        select(gallery, job.c.id.label("job_id"), job.c.key.label("job_key"))
        .join(job, staged, isouter=True)
        .where(gallery.c.tenant == tenant, gallery.c.id >= first)
        .order_by(gallery.c.id)
    )
    return list(connection.execute(query).all())


def key_of(row: Row[Any]) -> str:
    """Of a row of ``galleries``: the key that it has, had, or will have."""
    if row.state == STAGING:
        return str(row.job_key or row.key)
    return str(row.key).removeprefix(previous_key(""))


def where_of(row: Row[Any]) -> Where:
    return {STAGING: Where.STAGED, PREVIOUS: Where.PREVIOUS}.get(row.state, Where.SERVED)


def has(connection: Connection, row: Row[Any], label: str) -> bool:
    """Whether a gallery has a template of ``label``."""
    return bool(reading.templates(connection, read_gallery(row), label, -1, 1))


def jobs(connection: Connection, tenant: str, first: str = "") -> list[Row[Any]]:
    """All of a tenant, by id from ``first`` on."""
    query = select(job).where(job.c.tenant == tenant, job.c.id >= first).order_by(job.c.id)
    return list(connection.execute(query).all())


def rows_of(
    connection: Connection, job_id: str, label: str, first: int = 0
) -> Iterator[SettledRow]:
    """Rows of a job's input that show ``label``, by position from ``first`` on."""
    sealed = job_row.c.key_version.is_not(None)  # what these show is told when they are opened
    query = select(job_row).where(job_row.c.job == job_id, or_(sealed, job_row.c.label == label))
    while True:
        rows = connection.execute(
            query.where(job_row.c.position >= first).order_by(job_row.c.position).limit(PAGE)
        ).all()
        if not rows:
            return
        yield from (row for row in map(reader(connection, job_id), rows) if row.label == label)
        first = rows[-1].position + 1


def _items(
    connection: Connection, tenant: str, label: str, after: HeldPlace, size: int, embeddings: bool
) -> Iterator[tuple[HeldPlace, HeldTemplate | HeldRow]]:
    if after.job is None:
        for row in galleries(connection, tenant, after.gallery):
            info = read_gallery(row)
            last = after.template if row.id == after.gallery else -1
            while found := reading.templates(connection, info, label, last, size):
                last = found[-1].id
                for held in _templates(connection, row, [one.id for one in found], embeddings):
                    yield HeldPlace(row.id, held.id), held
    for row in jobs(connection, tenant, "" if after.job is None else owned(tenant, after.job)):
        name = bare(row.id)
        for settled in rows_of(
            connection, row.id, label, after.position + 1 if name == after.job else 0
        ):
            yield (
                HeldPlace(job=name, position=settled.position),
                HeldRow(
                    job=row.id,
                    key=row.key,
                    generation=row.generation or "",
                    position=settled.position,
                    outcome=str(settled.outcome),
                    reason=settled.reason,
                    source=without_secrets(settled.source),
                ),
            )


def _templates(
    connection: Connection, row: Row[Any], ids: Sequence[int], embeddings: bool
) -> Iterator[HeldTemplate]:
    for start in range(0, len(ids), IDS_A_STATEMENT):
        part = ids[start : start + IDS_A_STATEMENT]
        chosen = and_(template.c.generation == row.generation, template.c.id.in_(part))
        seqs: dict[int, int] = {
            one.id: one.added_seq
            for one in connection.execute(select(template.c.id, template.c.added_seq).where(chosen))
        }
        key = key_of(row)
        times = audit_reading.times(connection, key, row.generation, set(seqs.values()))
        if row.created_at:  # else of a gallery of the schema's first version
            times.setdefault(1, row.created_at)  # built, or staged by a job
        sources = _sources(connection, row, part)
        blobs = _embeddings(connection, row, part) if embeddings else {}
        for number in part:
            yield HeldTemplate(
                key=key,
                where=where_of(row),
                job=row.job_id or "",
                generation=row.generation,
                seq=row.seq,
                model_id=row.model_id,
                id=number,
                added_at=times.get(seqs[number]),
                source=sources.get(number),
                embedding=blobs.get(number),
            )


def _sources(connection: Connection, row: Row[Any], ids: Sequence[int]) -> dict[int, str]:
    """Where images were read, as far as that was kept. A job that keeps it keeps a URL's
    credentials too: they are not the person's."""
    rows = connection.execute(
        select(template_source).where(
            template_source.c.generation == row.generation, template_source.c.id.in_(ids)
        )
    ).all()
    text = texts_opener(connection, row.key, Kind.SOURCE, row.generation)
    return {
        one.id: without_secrets(text(one.id, one.source, "", one.key_version)[0]) for one in rows
    }


def _embeddings(connection: Connection, row: Row[Any], ids: Sequence[int]) -> dict[int, bytes]:
    chosen = and_(template.c.generation == row.generation, template.c.id.in_(ids))
    rows = connection.execute(select(*TEMPLATE).where(chosen, template.c.removed_seq.is_(None)))
    read = read_templates(opened(connection, row.key, row.generation, rows.all()), row.dimension)
    vectors = np.ascontiguousarray(read.vectors, dtype="<f4")
    return {number: one.tobytes() for number, one in zip(read.ids, vectors, strict=True)}
