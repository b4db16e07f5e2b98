"""Writing the audit log, in the transaction of what is told: there are both or neither.

The heads of chains are the last locks that a writer takes, in the order of their names: so writers
of the same galleries wait for each other here as they do for the galleries, and none in a circle.
Functions of a connection; committing is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve_app.audit_rows import FACTS, GENESIS, OK, AuditRow, digest_of, runs
from serve_app.errors import FaceServeError, GalleryNotFoundError, UnavailableError
from serve_app.index.mutations import Drop, Mutation
from serve_app.index.store.answers import Answered
from serve_app.index.store.engine import AUDITED
from serve_app.index.store.schema import HIDDEN, audit, audit_chain, gallery
from serve_app.tenancy import tenant_of
from serve_app.types import Caller

DAMAGED = "the audit log of this gallery is damaged: run `face-serve audit verify`"

_ADD = insert(audit)
_HEAD = select(audit_chain).where(audit_chain.c.chain == bindparam("name")).with_for_update()
_MOVE = (
    update(audit_chain)
    .where(audit_chain.c.chain == bindparam("name"))
    .values(next=bindparam("to"), digest=bindparam("new"))
)
"""Made once: every change runs them, and making them takes as long as SQLite does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be told of ``key``. ``count``: of templates, by default as many as ``ids``."""

    key: str
    by: Caller
    action: str
    generation: str
    seq: int
    ids: Sequence[int] = ()
    count: int | None = None
    operation: str = ""
    result: str = OK


def write(connection: Connection, entries: Sequence[Entry]) -> None:
    """Append ``entries`` to the chains of their galleries, in their order.

    Nothing where the store is told not to. Raises UnavailableError where a chain has rows beyond
    its head, or a head that is none.
    """
    if not connection.get_execution_options().get(AUDITED, True):
        return
    chains: dict[str, list[Entry]] = {}
    for entry in entries:
        chains.setdefault(entry.key, []).append(entry)
    for key in sorted(chains):
        _append(connection, key, chains[key])


def told(mutation: Mutation, answered: Answered) -> Entry:
    """Of a mutation that was made just now."""
    return Entry(
        mutation.key,
        mutation.by,
        mutation.action,
        answered.generation,
        answered.seq,
        answered.ids,
        answered.count if isinstance(mutation, Drop) else None,
        mutation.operation.id,
    )


def refuse(
    connection: Connection,
    key: str,
    by: Caller,
    action: str,
    error: FaceServeError,
    operation: str = "",
) -> None:
    """Tell of a change that ``error`` kept from a gallery, whose own transaction left nothing."""
    write(connection, refusal(connection, key, by, action, error, operation))


def refusal(
    connection: Connection, key: str, by: Caller, action: str, error: FaceServeError, operation: str
) -> list[Entry]:
    """Of a change that ``error`` kept from a gallery that is there. None where there is none (else
    anybody could begin chains), or where nobody said no: the database was away."""
    if isinstance(error, GalleryNotFoundError | UnavailableError):
        return []
    row = connection.execute(
        select(gallery.c.generation, gallery.c.seq).where(
            gallery.c.tenant == tenant_of(key),
            gallery.c.key == key,
            gallery.c.state.not_in(HIDDEN),
        )
    ).one_or_none()
    if row is None:
        return []
    return [Entry(key, by, action, row.generation, row.seq, operation=operation, result=error.code)]


def _append(connection: Connection, chain: str, entries: Sequence[Entry]) -> None:
    head = _head(connection, chain)
    if not isinstance(head.next, int) or not isinstance(head.digest, bytes):
        raise UnavailableError(DAMAGED)  # SQLite keeps what no column of ours would be given
    number, digest = head.next, head.digest
    now = round(time.time(), 3)  # as a place in a listing has it
    rows: list[dict[str, Any]] = []
    for entry in entries:
        row = _row(entry, chain, number, now)
        digest = digest_of(digest, row)
        rows.append({**{name: getattr(row, name) for name in FACTS}, "digest": digest})
        number += 1
    try:
        connection.execute(_ADD, rows)
    except IntegrityError:
        raise UnavailableError(DAMAGED) from None
    connection.execute(_MOVE, {"name": chain, "to": number, "new": digest})


def _row(entry: Entry, chain: str, number: int, now: float) -> AuditRow:
    return AuditRow(
        chain=chain,
        number=number,
        tenant=tenant_of(chain),
        at=now,
        actor=entry.by.actor,
        address=entry.by.address,
        action=entry.action,
        result=entry.result,
        generation=entry.generation,
        seq=entry.seq,
        ids=runs(entry.ids),
        count=len(entry.ids) if entry.count is None else entry.count,
        operation=entry.operation,
    )


def _head(connection: Connection, chain: str) -> Row[Any]:
    """The chain's head, locked; a new one where this is its first row."""
    row = connection.execute(_HEAD, {"name": chain}).one_or_none()
    if row is not None:
        return row
    new = insert(audit_chain).values(chain=chain, first=0, before=GENESIS, next=0, digest=GENESIS)
    try:
        with connection.begin_nested():
            connection.execute(new)
    except IntegrityError:
        pass  # two were first: PostgreSQL has waited for the other, whose row is there now
    return connection.execute(_HEAD, {"name": chain}).one()
