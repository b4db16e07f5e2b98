"""Whether the audit log is as it was written: each chain is walked from the oldest row that is kept
to its head. Functions of a connection; nothing here writes.

A page is read together with the head, so that writers and a pruning may go on meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from serve_app.audit_rows import GENESIS, AuditRow, ChainHead, digest_of
from serve_app.index.store.audit_reading import row_of
from serve_app.index.store.schema import audit, audit_chain

PAGE = 5000


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a chain, and at which row as far as that can be told."""

    chain: str
    number: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Walked:
    """How far a chain is checked: the rows from ``first`` on and below ``next`` fit each other and
    what was ``before`` them, the last has ``digest``. ``kept``: what the row says that was asked
    for. ``whole``: there are no more, and the head fits. With a ``complaint`` it ends there."""

    chain: str
    before: bytes
    first: int
    next: int
    digest: bytes
    kept: ChainHead | None = None
    whole: bool = False
    complaint: Complaint | None = None


def walk(
    connection: Connection, chain: str, walked: Walked | None, head: ChainHead | None
) -> Walked:
    """The next page of ``chain`` after ``walked``, from the beginning on for None. ``head``: what
    was kept elsewhere, whose row is told when it is met."""
    found = connection.execute(
        select(audit_chain).where(audit_chain.c.chain == chain)
    ).one_or_none()
    if walked is None or (found is not None and _number(found.first) > walked.next):
        first = 0 if found is None else _number(found.first)
        before = GENESIS if found is None else _bytes(found.before)
        walked = Walked(chain, before, first, first, before)
    query = select(audit).where(audit.c.chain == chain)
    if walked.next == walked.first:
        stray = connection.execute(query.where(audit.c.number < walked.first).limit(1)).first()
        if stray is not None:
            return _wrong(walked, stray.number, "is older than the oldest row that is kept")
    rows = connection.execute(
        query.where(audit.c.number >= walked.next).order_by(audit.c.number).limit(PAGE)
    ).all()
    for row in rows:
        walked = _step(walked, row, head)
        if walked.complaint is not None:
            return walked
    return walked if len(rows) == PAGE else _end(walked, found)


def _step(walked: Walked, row: Row[Any], head: ChainHead | None) -> Walked:
    values = row_of(row)
    if not isinstance(values.number, int):
        return _wrong(walked, walked.next, "was changed")
    if values.number != walked.next:
        last = values.number - 1
        missing = "is missing" if last == walked.next else f"to {last} are missing"
        return _wrong(walked, walked.next, missing)
    if not _fits(walked.digest, values):
        before = "" if walked.next == walked.first else ", or the one before it written anew"
        return _wrong(walked, walked.next, f"was changed{before}")
    kept = walked.kept
    if head is not None and values.number == head.next - 1:
        kept = ChainHead(walked.chain, head.next, values.digest, values.at)
    return replace(walked, next=walked.next + 1, digest=values.digest, kept=kept)


def _end(walked: Walked, head: Row[Any] | None) -> Walked:
    if head is None and walked.next == 0:
        return replace(walked, whole=True)  # there is nothing at all
    if head is None:
        return _wrong(walked, None, "has rows but no head: the head was removed")
    if head.next != walked.next:
        if _number(head.next) > walked.next:
            return _wrong(walked, walked.next, f"to {head.next - 1}, the newest, are missing")
        return _wrong(walked, walked.next - 1, "is beyond the head: the head was changed")
    if _bytes(head.digest) != walked.digest:
        return _wrong(walked, walked.next - 1, "and the head don't fit: one of them was changed")
    return replace(walked, whole=True)


def compared(
    walked: Walked, head: ChainHead | None, *, pruned_before: float | None
) -> Complaint | None:
    """What is wrong with a whole chain by what was kept of it elsewhere; None: nothing was, so it
    should begin at 0. ``pruned_before``: rows that were older (seconds since the epoch) may have
    been pruned since; None: no row may."""
    head = head or ChainHead(walked.chain, 0, GENESIS)
    last = head.next - 1
    if walked.next < head.next:
        return Complaint(head.chain, walked.next, f"to {last} were cut off since the head was kept")
    if walked.first > head.first and not _explained(walked, head, pruned_before):
        what = f"to {walked.first - 1}, the oldest, were removed, sooner than rows are kept here"
        return Complaint(head.chain, head.first, what)
    digest = walked.kept.digest if walked.kept is not None else None
    if walked.first == head.next:  # just pruned, but its digest is left
        digest = walked.before
    if head.next and digest not in (None, head.digest):
        what = "is another than when the head was kept: the chain was written anew"
        return Complaint(head.chain, last, what)
    return None


def _explained(walked: Walked, head: ChainHead, pruned_before: float | None) -> bool:
    """Whether retention may have removed the rows from ``head.first`` to ``walked.first``, as far
    as ``head`` dates them: its newest row where that went too, or else its oldest."""
    if pruned_before is None:
        return False
    at = head.at if walked.first >= head.next else head.first_at
    return at is None or at < pruned_before


def _fits(before: bytes, row: AuditRow) -> bool:
    try:
        return digest_of(before, row) == row.digest
    except (TypeError, ValueError):  # SQLite keeps what no column of ours would be given
        return False


def _wrong(walked: Walked, number: int | None, what: str) -> Walked:
    return replace(walked, complaint=Complaint(walked.chain, number, what))


def _number(value: Any) -> int:
    """Of a head that may be anything."""
    return value if isinstance(value, int) and value >= 0 else 0


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""
