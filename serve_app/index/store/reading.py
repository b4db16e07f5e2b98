"""What is asked of the store: where galleries stand, what changed, pages of them. Functions of a
connection; nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    select,
    true,
)

from serve_app.errors import UnavailableError
from serve_app.index.records import DAMAGED, Changes, TemplateRows, Totals
from serve_app.index.store.damage import read_gallery, read_page, read_templates
from serve_app.index.store.schema import HIDDEN, gallery, snapshot, template
from serve_app.index.store.sealed_rows import LABELS, TEMPLATE, labels_of, of_label, opened
from serve_app.index.store.writing import find
from serve_app.tenancy import tenant_of
from serve_app.types import GalleryEntry, GalleryInfo, Shard, TemplateEntry

KEYS_A_QUERY = 500


_NEWEST = (
    select(snapshot.c.name)
    .where(
        snapshot.c.generation == gallery.c.generation,
        snapshot.c.shards == bindparam("shards"),
        snapshot.c.shard == bindparam("shard"),
    )
    .order_by(snapshot.c.seq.desc(), snapshot.c.created_at.desc())
    .limit(1)
    .scalar_subquery()
)
_STANDING = select(gallery, _NEWEST.label("newest"))
_DESCRIBE = _STANDING.where(
    gallery.c.tenant.in_(bindparam("tenants", expanding=True)),
    gallery.c.key.in_(bindparam("keys", expanding=True)),
    gallery.c.state.not_in(HIDDEN),
)
"""Made once: it is asked before every batch of searches, and making it takes longer than SQLite."""


def describe(connection: Connection, keys: Sequence[str], shard: Shard) -> dict[str, GalleryInfo]:
    """Facts of those galleries that exist, in one query, with the shard's newest snapshots."""
    found: dict[str, GalleryInfo] = {}
    for start in range(0, len(keys), KEYS_A_QUERY):
        part = list(keys[start : start + KEYS_A_QUERY])
        tenants = list({tenant_of(key) for key in part})
        values = {"tenants": tenants, "keys": part, "shards": shard.of, "shard": shard.number}
        rows = connection.execute(_DESCRIBE, values)
        found |= {row.key: read_gallery(row, row.newest) for row in rows}
    return found


def of_generation(connection: Connection, generation: str, shard: Shard) -> GalleryInfo | None:
    """Facts of a gallery that is served, staged or kept for a rollback; None if it is gone."""
    values = {"shards": shard.of, "shard": shard.number}
    row = connection.execute(
        _STANDING.where(gallery.c.generation == generation), values
    ).one_or_none()
    return None if row is None else read_gallery(row, row.newest)


def totals(connection: Connection, largest: int) -> Totals:
    """Two queries of the galleries' rows alone; templates are not touched."""
    served = gallery.c.state.not_in(HIDDEN)
    counted = connection.execute(
        select(func.count(), func.coalesce(func.sum(gallery.c.size), 0)).where(served)
    ).one()
    sizes = connection.execute(
        select(gallery.c.size).where(served).order_by(gallery.c.size.desc()).limit(largest)
    )
    return Totals(int(counted[0]), int(counted[1]), tuple(sizes.scalars()))


def galleries(
    connection: Connection, after: str, limit: int, tenant: str | None
) -> list[GalleryEntry]:
    """Up to ``limit`` galleries with names above ``after``, by name; of one tenant if given."""
    query = select(gallery).where(gallery.c.key > after, gallery.c.state.not_in(HIDDEN))
    if tenant is not None:
        query = query.where(gallery.c.tenant == tenant)
    rows = connection.execute(query.order_by(gallery.c.key).limit(limit))
    return [GalleryEntry(read_gallery(row), row.created_at, row.changed_at) for row in rows]


def entry(connection: Connection, key: str) -> GalleryEntry | None:
    row = find(connection, key)
    if row is None:
        return None
    info = describe(connection, [key], Shard())[key]
    return GalleryEntry(info, row.created_at, row.changed_at)


def templates(
    connection: Connection, info: GalleryInfo, label: str | None, after_id: int, limit: int
) -> list[TemplateEntry]:
    """Up to ``limit`` templates with ids above ``after_id``, by id; of one label if it is given.
    Two queries, of the keys too, where something is encrypted."""
    query = (
        select(*LABELS)
        .where(_live(info), template.c.id > after_id)
        .order_by(template.c.id)
        .limit(limit)
    )
    if label is not None:
        query = query.where(of_label(connection, info.key, info.generation, label, held=False))
    rows = connection.execute(query).all()
    labels = labels_of(connection, info.key, info.generation, rows)
    if label is not None and any(found != label for found in labels.values()):
        raise UnavailableError(DAMAGED)
    return [TemplateEntry(number, found) for number, found in labels.items()]


def page(
    connection: Connection, info: GalleryInfo, after_id: int, limit: int, shard: Shard
) -> TemplateRows:
    """Up to ``limit`` templates of ``info.generation`` with ids above ``after_id``, by id.

    Raises UnavailableError for a damaged row.
    """
    query = (
        select(*TEMPLATE)
        .where(_live(info), template.c.id > after_id, _of_shard(shard))
        .order_by(template.c.id)
        .limit(limit)
    )
    rows = opened(connection, info.key, info.generation, connection.execute(query).all())
    return read_page(rows, info.dimension, after_id)


def changes(
    connection: Connection,
    known: GalleryInfo,
    shard: Shard,
    added_after: int,
    up_to: int | None,
) -> Changes | None:
    """What happened after ``known`` (of what was added: after ``added_after``), up to the newest
    seq, or exactly up to ``up_to`` where that can still be told. See ``GalleryStore.changes``."""
    row = connection.execute(
        select(gallery).where(gallery.c.generation == known.generation)
    ).one_or_none()
    if row is None or known.seq < row.floor_seq:
        return None
    # Staged by a job, or just replaced, it has another key: that is not what is asked about.
    info = replace(read_gallery(row), key=known.key)
    until = row.seq
    if up_to is not None and up_to < row.seq and not _erased(connection, known, added_after, up_to):
        until = up_to
    added = _added(select(*TEMPLATE), known, added_after, until).where(_of_shard(shard))
    removed = select(template.c.id).where(
        template.c.generation == known.generation,
        template.c.removed_seq > known.seq,
        template.c.removed_seq <= until,
        _of_shard(shard),
    )
    info = replace(info, seq=until)
    rows = connection.execute(added.order_by(template.c.id)).all()
    return Changes(
        info,
        read_templates(opened(connection, info.key, info.generation, rows), info.dimension),
        list(connection.execute(removed).scalars()),
    )


def live_count(connection: Connection, info: GalleryInfo, shard: Shard) -> int:
    """How many templates of the shard there are."""
    query = select(func.count()).select_from(template).where(_live(info), _of_shard(shard))
    return int(connection.execute(query).scalar_one())


def _added(query: Select[Any], known: GalleryInfo, after: int, until: int) -> Select[Any]:
    return query.where(
        template.c.generation == known.generation,
        template.c.added_seq > after,
        template.c.added_seq <= until,
        template.c.removed_seq.is_(None),
    )


def _erased(connection: Connection, known: GalleryInfo, added_after: int, up_to: int) -> bool:
    """Whether a template that was there at ``up_to`` is no more: that moment can't be rebuilt."""
    query = select(template.c.id).where(
        template.c.generation == known.generation,
        template.c.added_seq > added_after,
        template.c.added_seq <= up_to,
        template.c.removed_seq > up_to,
    )
    return connection.execute(query.limit(1)).first() is not None


def _live(info: GalleryInfo) -> ColumnElement[bool]:
    return and_(template.c.generation == info.generation, template.c.removed_seq.is_(None))


def _of_shard(shard: Shard) -> ColumnElement[bool]:
    return true() if shard.of == 1 else template.c.id % shard.of == shard.number
