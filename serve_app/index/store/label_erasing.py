"""Erasing a label from one gallery, or from one job, in one transaction with its audit rows.

Functions of a connection; committing is the caller's.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from serve_app.held import Erased, Where
from serve_app.index.store import auditing, holding, job_rows
from serve_app.index.store.auditing import Entry
from serve_app.index.store.damage import read_gallery
from serve_app.index.store.forgetting import (
    IDS_A_STATEMENT,
    clear_templates,
    forget_previous,
    previous_key,
)
from serve_app.index.store.schema import STAGING, gallery, job_row
from serve_app.index.store.writing import change_gallery, find, labelled
from serve_app.types import Caller

ACTION, ROWS_ACTION = "erase_label", "erase_label_rows"


def erase_in_gallery(
    connection: Connection, key: str, label: str, by: Caller, operation: str
) -> list[Erased]:
    """Out of the gallery of ``key``, and of the one that it replaced: that goes as a whole, as
    after any removal, or a rollback would bring back what is erased."""
    erased: list[Erased] = []
    entries: list[Entry] = []
    row = find(connection, key, lock=True)
    if row is not None and (ids := _remove(connection, row, label)):
        seq = row.seq + 1
        entries.append(Entry(key, by, ACTION, row.generation, seq, ids, operation=operation))
        erased.append(Erased(key, Where.SERVED, len(ids)))
    before = connection.execute(
        select(gallery).where(gallery.c.key == previous_key(key)).with_for_update()
    ).one_or_none()
    ids = [] if before is None else labelled(connection, before, label)
    if before is not None and ids:
        ids = sorted(ids)
        entries.append(
            Entry(key, by, ACTION, before.generation, before.seq, ids, operation=operation)
        )
        erased.append(Erased(key, Where.PREVIOUS, len(ids)))
    if erased:
        forget_previous(connection, key)
    auditing.write(connection, entries)
    return erased


def erase_in_job(
    connection: Connection, job_id: str, label: str, by: Caller, operation: str
) -> list[Erased]:
    """Out of what a job has staged so far, and of the rows that are kept of its input."""
    job = job_rows.find(connection, job_id, lock=True)
    if job is None:
        return []
    staged = connection.execute(
        select(gallery)
        .where(gallery.c.generation == job.generation, gallery.c.state == STAGING)
        .with_for_update()
    ).one_or_none()
    ids = [] if staged is None else _remove(connection, staged, label)
    positions = [row.position for row in holding.rows_of(connection, job_id, label)]
    for start in range(0, len(positions), IDS_A_STATEMENT):
        part = positions[start : start + IDS_A_STATEMENT]
        connection.execute(
            delete(job_row).where(job_row.c.job == job_id, job_row.c.position.in_(part))
        )
    generation, seq = job.generation or "", 0
    erased: list[Erased] = []
    entries: list[Entry] = []
    if staged is not None and ids:
        seq = staged.seq + 1
        entries.append(Entry(job.key, by, ACTION, generation, seq, ids, operation=operation))
        erased.append(Erased(job.key, Where.STAGED, len(ids), job_id))
    if positions:  # they are no templates' ids: only how many is told
        count = len(positions)
        entries.append(Entry(job.key, by, ROWS_ACTION, generation, seq, (), count, operation))
        erased.append(Erased(job.key, Where.INPUT, count, job_id))
    auditing.write(connection, entries)
    return erased


def _remove(connection: Connection, row: Row[Any], label: str) -> list[int]:
    """The templates of ``label``, from a gallery that is locked; their ids, ascending."""
    read_gallery(row)  # nothing is written beside damage
    seq = row.seq + 1
    ids = clear_templates(connection, row.generation, sorted(labelled(connection, row, label)), seq)
    if ids:
        # Of what a job has staged, too: replicas may have read it, and an index be built of it.
        now = time.time()
        change_gallery(
            connection,
            row,
            seq=seq,
            size=row.size - len(ids),
            removed_seq=seq,
            removed_at=row.removed_at or now,
            changed_at=now,
        )
    return ids
