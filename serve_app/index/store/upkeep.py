"""What the store keeps besides galleries: snapshots, leases, and what may be thrown away.

Functions of a connection; committing is the caller's.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve_app.index.records import SnapshotRow, Standing
from serve_app.index.store import access_rows, job_rows
from serve_app.index.store.damage import read_gallery
from serve_app.index.store.data_keys import wrapped
from serve_app.index.store.schema import HIDDEN, gallery, lease, operation, snapshot, template
from serve_app.index.store.writing import change_gallery
from serve_app.types import Shard

JOBS_KEPT_S = 7 * 86_400
"""Jobs that are over are known for so long; one that nobody goes on with for so long is over."""

BUCKETS_KEPT_S = 86_400
"""Of quotas that nobody spent from: by then they are full again, or paid."""

ROWS_KEPT_S = 86_400
"""What became of each row of their input, for so long: labels may have been removed since."""


def standings(connection: Connection, shard: Shard, least_size: int) -> list[Standing]:
    """Every gallery whose index may need work: ``least_size`` templates, a snapshot or a wish."""
    newest = {
        row.generation: _snapshot_row(row)
        for row in connection.execute(
            select(snapshot)
            .where(snapshot.c.shards == shard.of, snapshot.c.shard == shard.number)
            .order_by(snapshot.c.seq, snapshot.c.created_at)
        )
    }
    rows = connection.execute(
        select(gallery).where(
            gallery.c.state.not_in(HIDDEN),  # a job builds the index of what it stages itself
            (gallery.c.size >= least_size)
            | (gallery.c.wanted_seq > 0)
            | gallery.c.generation.in_(select(snapshot.c.generation)),
        )
    )
    return [
        Standing(
            read_gallery(row),
            newest.get(row.generation),
            row.wanted_seq,
            row.removed_seq,
            row.removed_at,
        )
        for row in rows
    ]


def snapshots(connection: Connection, generation: str | None, shard: Shard) -> list[SnapshotRow]:
    """Snapshots of a shard, newest first; of every gallery if ``generation`` is None."""
    query = select(snapshot).where(snapshot.c.shards == shard.of, snapshot.c.shard == shard.number)
    if generation is not None:
        query = query.where(snapshot.c.generation == generation)
    rows = connection.execute(query.order_by(snapshot.c.seq.desc(), snapshot.c.created_at.desc()))
    return [_snapshot_row(row) for row in rows]


def every_snapshot(connection: Connection) -> list[SnapshotRow]:
    """Snapshots of all shards."""
    return [_snapshot_row(row) for row in connection.execute(select(snapshot))]


def register(connection: Connection, row: SnapshotRow) -> bool:
    """Tell the replicas of a snapshot. False if its gallery is gone, or the key that seals it."""
    # Locked, so that nobody drops it before the snapshot is told of.
    generation = select(gallery.c.id).where(gallery.c.generation == row.generation)
    if connection.execute(generation.with_for_update()).first() is None:
        return False
    if row.key_version is not None:
        name = connection.execute(
            select(gallery.c.tenant).where(gallery.c.generation == row.generation)
        ).scalar_one()
        if row.key_version not in {key.version for key in wrapped(connection, name, share=True)}:
            return False
    known = select(snapshot.c.name).where(snapshot.c.name == row.name)
    if connection.execute(known).first() is not None:
        return True  # by a commit whose answer was lost
    connection.execute(
        insert(snapshot).values(
            name=row.name,
            generation=row.generation,
            shard=row.shard.number,
            shards=row.shard.of,
            seq=row.seq,
            next_id=row.next_id,
            size=row.size,
            created_at=row.created_at,
        )
    )
    if row.shard.of == 1:  # with shards the others' snapshots may still hold what was removed
        clean = (gallery.c.generation == row.generation) & (gallery.c.removed_seq <= row.seq)
        connection.execute(update(gallery).where(clean).values(removed_at=0))
    return True


def forget(connection: Connection, name: str) -> None:
    connection.execute(delete(snapshot).where(snapshot.c.name == name))


def take(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Take or prolong a lease. False if another has it."""
    now = time.time()
    taken = connection.execute(
        update(lease)
        .where(lease.c.name == name, (lease.c.holder == holder) | (lease.c.until < now))
        .values(holder=holder, until=now + seconds)
    )
    if taken.rowcount:
        return True
    try:
        with connection.begin_nested():
            connection.execute(insert(lease).values(name=name, holder=holder, until=now + seconds))
    except IntegrityError:
        return False
    return True


def give_back(connection: Connection, name: str, holder: str) -> None:
    connection.execute(delete(lease).where(lease.c.name == name, lease.c.holder == holder))


def leases(connection: Connection, prefix: str) -> list[str]:
    """Names of leases that begin with ``prefix`` and have not run out, ascending."""
    held = lease.c.name.startswith(prefix, autoescape=True) & (lease.c.until >= time.time())
    return list(
        connection.execute(select(lease.c.name).where(held).order_by(lease.c.name)).scalars()
    )


def prune(connection: Connection, answers_s: float, tombstones: int) -> None:
    """Throw away answers older than ``answers_s`` seconds, leases that ran out, jobs older than
    ``JOBS_KEPT_S``, and tombstones of galleries that have more than ``tombstones``: replicas that
    are behind them load anew."""
    now = time.time()
    connection.execute(delete(operation).where(operation.c.created_at < now - answers_s))
    connection.execute(delete(lease).where(lease.c.until < now))
    job_rows.prune(connection, JOBS_KEPT_S, ROWS_KEPT_S)
    access_rows.prune(connection, BUCKETS_KEPT_S)
    removed = (template.c.generation == gallery.c.generation) & template.c.removed_seq.is_not(None)
    count = select(func.count()).select_from(template).where(removed).scalar_subquery()
    dead = select(gallery.c.generation).where(
        gallery.c.removed_seq > gallery.c.floor_seq, count > tombstones
    )
    # In the order in which writers lock galleries.
    for generation in list(connection.execute(dead.order_by(gallery.c.id)).scalars()):
        row = connection.execute(
            select(gallery).where(gallery.c.generation == generation).with_for_update()
        ).one_or_none()
        if row is None:
            continue
        connection.execute(
            delete(template).where(
                template.c.generation == generation, template.c.removed_seq <= row.seq
            )
        )
        change_gallery(connection, row, floor_seq=row.seq)


def _snapshot_row(row: Any) -> SnapshotRow:
    return SnapshotRow(
        name=row.name,
        generation=row.generation,
        shard=Shard(row.shard, row.shards),
        seq=row.seq,
        next_id=row.next_id,
        size=row.size,
        created_at=row.created_at,
    )
