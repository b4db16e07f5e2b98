"""A gallery that a job makes, before anybody sees it.

The rows of the job's input are settled in their order, so how far it is is one number; it is
changed in the transaction that writes the templates. A run that was begun again goes on there, and
one that was given up for dead but lives can write nothing more. Functions of a connection.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, insert, select

from serve_app.errors import (
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    JobChangedError,
    JobConflictError,
    UnavailableError,
)
from serve_app.index.records import check_fits
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store import job_rows, sources
from serve_app.index.store.damage import check_of_gallery, read_gallery
from serve_app.index.store.input_rows import enrolled, first_positions, keep_rows
from serve_app.index.store.schema import STAGING, gallery
from serve_app.index.store.writing import (
    change_gallery,
    find,
    insert_templates,
)
from serve_app.tenancy import tenant_of
from serve_app.types import Embeddings, GalleryInfo, Job, JobMode


def begin(
    connection: Connection,
    job_id: str,
    holder: str,
    wanted: StagedGallery,
    total: int | None,
    fingerprint: str,
) -> Job:
    """Stage the job's templates in a gallery as ``wanted``, or go on with the one that is there.

    Raises JobLostError; JobChangedError if the input or the model is another than when the job
    was begun; GalleryExistsError, GalleryNotFoundError, GalleryMismatchError if it could not be
    published.
    """
    row = job_rows.held(connection, job_id, holder)
    if row.fingerprint is not None and row.fingerprint != fingerprint:
        raise JobChangedError(
            f"the input of job {job_id} changed since it was begun: give it another job id"
        )
    _check_target(connection, row, wanted)
    if row.generation is None:
        generation = _new_gallery(connection, job_id, wanted)
        job_rows.change(
            connection, job_id, generation=generation, total=total, fingerprint=fingerprint
        )
    else:
        check_model(read_gallery(staged(connection, row.generation)), wanted, job_id)
    return job_rows.read(connection, job_id)


def stage(
    connection: Connection,
    job_id: str,
    holder: str,
    settled: SettledRows,
    *,
    skip_duplicates: bool,
    keep_sources: bool,
) -> Job:
    """Write what became of the next rows of the input.

    Raises JobLostError; JobConflictError if they are not the next ones; InvalidRequestError for
    ids that are not ascending.
    """
    row = job_rows.held(connection, job_id, holder)
    if settled.start != row.done:
        raise JobConflictError(f"job {job_id} is at row {row.done}, not at {settled.start}")
    base = staged(connection, row.generation)
    rows, chosen = _compared(connection, job_id, settled, skip_duplicates)
    accepted = [each for each in rows if each.outcome is RowOutcome.ACCEPTED]
    ids = _ids(accepted, base.next_id)
    vectors = settled.vectors[chosen]
    insert_templates(connection, base, ids, 1, [a.label for a in accepted], vectors)
    if accepted:
        change_gallery(connection, base, size=base.size + len(ids), next_id=ids[-1] + 1)
    if keep_sources and accepted:
        sources.keep_sources(connection, base, ids, [each.source for each in accepted])
    keep_rows(connection, job_id, rows)
    job_rows.change(
        connection,
        job_id,
        done=settled.upto,
        accepted=row.accepted + len(accepted),
        rejected=row.rejected + sum(each.outcome is RowOutcome.REJECTED for each in rows),
        duplicates=row.duplicates + sum(each.same_as is not None for each in rows),
    )
    return job_rows.read(connection, job_id)


def staged(connection: Connection, generation: str | None, *, lock: bool = True) -> Row[Any]:
    """The row of a staged gallery. Raises UnavailableError if it is gone."""
    query = select(gallery).where(gallery.c.generation == generation, gallery.c.state == STAGING)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnavailableError("what the job staged is gone: give it another job id")
    return row


def check_model(info: GalleryInfo, wanted: StagedGallery, job_id: str) -> None:
    """Raises JobChangedError if a job would go on with another model or index."""
    before = (info.model_id, info.dimension, info.index_type, info.metric)
    now = (wanted.model_id, wanted.dimension, wanted.index_type, wanted.metric)
    if before != now:
        raise JobChangedError(
            f"job {job_id} was begun with {' '.join(map(str, before))}, not with "
            f"{' '.join(map(str, now))}: give it another job id"
        )


def _check_target(connection: Connection, row: Row[Any], wanted: StagedGallery) -> None:
    """Before hours of work, what publishing would refuse."""
    target = find(connection, row.key)
    if row.mode == JobMode.CREATE and target is not None:
        raise GalleryExistsError(
            f"gallery {row.key} exists already: append to it, replace it or choose another key"
        )
    if row.mode == JobMode.APPEND:
        if target is None:
            raise GalleryNotFoundError(f"gallery {row.key} does not exist: create it")
        none = np.empty((0, wanted.dimension), dtype=np.float32)
        embeddings = Embeddings(wanted.model_id, none, wanted.compatible_with)
        check_fits(read_gallery(target), embeddings)


def _new_gallery(connection: Connection, job_id: str, wanted: StagedGallery) -> str:
    now = time.time()
    facts = {
        "key": f"job:{job_id}",  # no user's key has a colon
        "generation": uuid.uuid4().hex,
        "index_type": wanted.index_type,
        "metric": str(wanted.metric),
        "dimension": wanted.dimension,
        "model_id": wanted.model_id,
        "next_id": 0,
        "size": 0,
        "seq": 1,
        "floor_seq": 0,
    }
    connection.execute(
        insert(gallery).values(
            tenant=tenant_of(job_id),
            state=STAGING,
            created_at=now,
            changed_at=now,
            crc=check_of_gallery(facts),
            **facts,
        )
    )
    return str(facts["generation"])


def _compared(
    connection: Connection, job_id: str, settled: SettledRows, skip: bool
) -> tuple[list[SettledRow], list[int]]:
    """The rows with the images that came before, and which of ``settled.vectors`` stay."""
    digests = [row.digest for row in settled.rows if row.digest]
    first = first_positions(connection, job_id, digests)
    labels = {row.label for row in settled.rows}
    there = enrolled(connection, job_id, digests, labels) if skip else set()
    rows: list[SettledRow] = []
    chosen: list[int] = []
    vector = -1
    for row in settled.rows:
        accepted = row.outcome is RowOutcome.ACCEPTED
        vector += accepted
        found = row
        if row.digest is not None:
            if row.digest in first:
                found = replace(row, same_as=first[row.digest])
            else:
                first[row.digest] = row.position
            if accepted and (row.digest, row.label) in there:
                found = replace(found, outcome=RowOutcome.SKIPPED, reason="the same image")
            elif accepted and skip:
                there.add((row.digest, row.label))
        rows.append(found)
        if found.outcome is RowOutcome.ACCEPTED:
            chosen.append(vector)
    return rows, chosen


def _ids(accepted: Sequence[SettledRow], next_id: int) -> list[int]:
    ids: list[int] = []
    for row in accepted:
        number = next_id if row.id is None else row.id
        if number < next_id:
            raise InvalidRequestError(
                f"row {row.position} has id {number}, ids up to {next_id - 1} are taken: sort the "
                "input by id and give each once"
            )
        ids.append(number)
        next_id = number + 1
    return ids
