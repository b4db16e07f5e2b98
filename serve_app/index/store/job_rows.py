"""Rows of the table ``job``: who runs which, how far it is, how it ended.

Functions of a connection; committing is the caller's.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve_app.errors import (
    JobConflictError,
    JobLostError,
    JobNotFoundError,
    OperationReusedError,
)
from serve_app.index.staged import RowOutcome
from serve_app.index.store import input_rows
from serve_app.index.store.living import check_living
from serve_app.index.store.schema import STAGING, gallery, job, job_row
from serve_app.tenancy import tenant_of
from serve_app.types import OPERATOR, Caller, Job, JobMode, JobRejection, JobState

FINAL = tuple(str(state) for state in JobState if state.is_final)


def submit(
    connection: Connection,
    job_id: str,
    key: str,
    mode: JobMode,
    request: str,
    digest: str,
    caller: Caller,
) -> Job:
    """A new job, or the one of this id if the same was asked. What its digest leaves out (limits,
    the report) is from now on as it is asked now. Raises OperationReusedError,
    InvalidRequestError for an erased tenant."""
    if tenant_of(job_id) != tenant_of(key):
        raise ValueError("a job is of its gallery's tenant, by its id too")
    row = find(connection, job_id, lock=True)
    if row is None:
        check_living(connection, tenant_of(key))
        now = time.time()
        new = insert(job).values(
            id=job_id,
            tenant=tenant_of(job_id),
            caller=json.dumps(asdict(caller)),
            key=key,
            mode=str(mode),
            request=request,
            digest=digest,
            state=str(JobState.QUEUED),
            created_at=now,
            changed_at=now,
        )
        try:
            with connection.begin_nested():
                connection.execute(new)
        except IntegrityError:  # sent twice at once
            row = find(connection, job_id, lock=True)
    if row is not None and row.digest != digest:
        raise OperationReusedError(
            f"job {job_id} was begun with other arguments: give the same ones, or another job id"
        )
    if row is not None and row.state not in FINAL:
        connection.execute(update(job).where(job.c.id == job_id).values(request=request))
    return read(connection, job_id)


def take(connection: Connection, job_id: str, holder: str, seconds: float) -> Job:
    """Run a job from now on, or still; one that is over stays over.

    Raises JobConflictError while another runs it, JobNotFoundError.
    """
    row = locked(connection, job_id)
    if row.state in FINAL:
        return _job(row)
    now = time.time()
    if row.holder != holder and row.held_until > now:
        raise JobConflictError(
            f"job {job_id} is running already; if that run died, it can be begun again in "
            f"{row.held_until - now:.0f} s"
        )
    values: dict[str, Any] = {"holder": holder, "held_until": now + seconds, "changed_at": now}
    if row.holder != holder:
        values |= {"resumed_at": now, "resumed_done": row.done, "state": str(JobState.RUNNING)}
    connection.execute(update(job).where(job.c.id == job_id).values(**values))
    return read(connection, job_id)


def hold(connection: Connection, job_id: str, holder: str, seconds: float) -> None:
    """Say that it is still being run. Raises JobLostError."""
    held(connection, job_id, holder)
    change(connection, job_id, held_until=time.time() + seconds)


def let_go(connection: Connection, job_id: str, holder: str) -> None:
    """Another may go on with it at once."""
    connection.execute(
        update(job)
        .where(job.c.id == job_id, job.c.holder == holder)
        .values(holder=None, held_until=0)
    )


def held(connection: Connection, job_id: str, holder: str) -> Row[Any]:
    """The job's row, locked. Raises JobLostError unless ``holder`` runs it."""
    row = locked(connection, job_id)
    if row.state == JobState.CANCELLED:
        raise JobLostError(f"job {job_id} was cancelled")
    if row.holder != holder or row.state in FINAL:
        raise JobLostError(f"job {job_id} is run by another process now")
    return row


def end(connection: Connection, job_id: str, state: JobState, message: str) -> None:
    """``state`` is final. What it staged goes with it, unless that was published."""
    if state is not JobState.DONE:
        row = locked(connection, job_id)
        connection.execute(
            delete(gallery).where(
                gallery.c.generation == row.generation, gallery.c.state == STAGING
            )
        )
        connection.execute(delete(job_row).where(job_row.c.job == job_id))
        change(connection, job_id, generation=None)
    change(connection, job_id, state=str(state), message=message, holder=None, held_until=0)


def remove(connection: Connection, job_id: str) -> None:
    """Of a job that is over; any other stays, with what it staged."""
    connection.execute(delete(job).where(job.c.id == job_id, job.c.state.in_(FINAL)))


def prune(connection: Connection, kept_s: float, rows_kept_s: float) -> None:
    """Forget jobs that have been over for ``kept_s`` seconds, and the rows of those that have been
    for ``rows_kept_s``. Jobs that nobody has touched for ``kept_s`` are given up, with what they
    staged."""
    now = time.time()
    old = job.c.changed_at < now - kept_s
    connection.execute(delete(job).where(job.c.state.in_(FINAL), old))
    over = select(job.c.id).where(job.c.state.in_(FINAL), job.c.changed_at < now - rows_kept_s)
    connection.execute(delete(job_row).where(job_row.c.job.in_(over)))
    left = select(job).where(job.c.state.not_in(FINAL), old, job.c.held_until < now)
    for row in connection.execute(left.order_by(job.c.id).with_for_update()).all():
        end(connection, row.id, JobState.FAILED, "nobody went on with it: begin another")


def change(connection: Connection, job_id: str, **values: Any) -> None:
    values["changed_at"] = time.time()
    connection.execute(update(job).where(job.c.id == job_id).values(**values))


def rejections(connection: Connection, job_id: str, after: int, limit: int) -> list[JobRejection]:
    """Up to ``limit`` rejected rows with positions above ``after``."""
    rows = connection.execute(
        select(job_row)
        .where(
            job_row.c.job == job_id,
            job_row.c.outcome == str(RowOutcome.REJECTED),
            job_row.c.position > after,
        )
        .order_by(job_row.c.position)
        .limit(limit)
    ).all()
    found = map(input_rows.reader(connection, job_id), rows)
    return [JobRejection(row.position, row.source, row.label, row.reason) for row in found]


def find(connection: Connection, job_id: str, *, lock: bool = False) -> Row[Any] | None:
    query = select(job).where(job.c.id == job_id)
    return connection.execute(query.with_for_update() if lock else query).one_or_none()


def locked(connection: Connection, job_id: str) -> Row[Any]:
    row = find(connection, job_id, lock=True)
    if row is None:
        raise JobNotFoundError(f"job {job_id} does not exist")
    return row


def read(connection: Connection, job_id: str) -> Job:
    """Raises JobNotFoundError."""
    row = find(connection, job_id)
    if row is None:
        raise JobNotFoundError(f"job {job_id} does not exist")
    return _job(row)


def listed(connection: Connection, limit: int, tenant: str | None) -> list[Job]:
    """The newest ``limit``, newest first; of one tenant if it is given."""
    query = select(job).order_by(job.c.created_at.desc(), job.c.id).limit(limit)
    if tenant is not None:
        query = query.where(job.c.tenant == tenant)
    return [_job(row) for row in connection.execute(query)]


def caller_of(row: Row[Any]) -> Caller:
    """Who asked for a job; the operator for one from before that was kept."""
    return Caller(**json.loads(row.caller)) if row.caller else OPERATOR


def _job(row: Any) -> Job:
    seconds = row.changed_at - row.resumed_at
    settled = row.done - row.resumed_done
    return Job(
        id=row.id,
        key=row.key,
        mode=JobMode(row.mode),
        state=JobState(row.state),
        message=row.message,
        request=row.request,
        total=row.total,
        done=row.done,
        accepted=row.accepted,
        rejected=row.rejected,
        duplicates=row.duplicates,
        generation=row.generation,
        rate=settled / seconds if row.resumed_at and seconds > 0 else 0.0,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
