"""What is asked of the audit log, and what is given up of it. Functions of a connection."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, tuple_, union, update

from serve_app.audit_rows import OK, AuditQuery, AuditRow, ChainHead
from serve_app.index.store.schema import audit, audit_chain
from serve_app.tenancy import tenant_of

ADDING = ("build", "add", "job_create", "job_append", "job_replace", "restore", "import")
"""After these there are templates that were not there before."""


def row_of(row: Any) -> AuditRow:
    """A row of the table ``audit``."""
    values = dict(row._mapping)
    digest = values.pop("digest")
    return AuditRow(**values, digest=bytes(digest) if isinstance(digest, bytes) else b"")


def page(connection: Connection, asked: AuditQuery) -> list[AuditRow]:
    """By time, then by gallery, then by number."""
    query = select(audit)
    if asked.chain is not None:
        query = query.where(audit.c.chain == asked.chain)
    if asked.tenant is not None:
        query = query.where(audit.c.tenant == asked.tenant)
    if asked.since is not None:
        query = query.where(audit.c.at >= asked.since)
    if asked.until is not None:
        query = query.where(audit.c.at < asked.until)
    if asked.after is not None:
        place = (asked.after.chain, asked.after.number)
        query = query.where(
            audit.c.at >= asked.after.at,  # by itself: an index can start there
            or_(
                audit.c.at > asked.after.at,
                tuple_(audit.c.chain, audit.c.number) > place,
            ),
        )
    query = query.order_by(audit.c.at, audit.c.chain, audit.c.number).limit(asked.limit)
    return [row_of(row) for row in connection.execute(query)]


def chains(connection: Connection) -> list[str]:
    """Names of all chains, also of one that has lost its head, or its rows."""
    both = union(select(audit_chain.c.chain), select(audit.c.chain))
    return sorted(connection.execute(both).scalars())


def heads(connection: Connection, chain: str | None) -> list[ChainHead]:
    """Of all chains that have had a row, or of one, by name."""
    last, oldest = audit.alias("last"), audit.alias("oldest")
    newest = and_(last.c.chain == audit_chain.c.chain, last.c.number == audit_chain.c.next - 1)
    first = and_(oldest.c.chain == audit_chain.c.chain, oldest.c.number == audit_chain.c.first)
    query = (
        select(audit_chain, last.c.at, oldest.c.at.label("first_at"))
        .join(last, newest, isouter=True)
        .join(oldest, first, isouter=True)
        .where(audit_chain.c.next > 0)
        .order_by(audit_chain.c.chain)
    )
    if chain is not None:
        query = query.where(audit_chain.c.chain == chain)
    return [
        ChainHead(row.chain, row.next, bytes(row.digest), row.at, row.first, row.first_at)
        for row in connection.execute(query)
    ]


def old(connection: Connection, before: float) -> list[str]:
    """Chains whose oldest row is from before a moment."""
    oldest = and_(audit.c.chain == audit_chain.c.chain, audit.c.number == audit_chain.c.first)
    query = select(audit_chain.c.chain).join(audit, oldest).where(audit.c.at < before)
    return sorted(connection.execute(query).scalars())


def prune(connection: Connection, chain: str, before: float) -> int:
    """Give up the oldest rows of ``chain`` that are all from before a moment: how many. What is
    left begins with the digest of the last that went, so it can still be verified."""
    head = connection.execute(
        select(audit_chain).where(audit_chain.c.chain == chain).with_for_update()
    ).one_or_none()
    if head is None:
        return 0
    rows = audit.c.chain == chain
    first = connection.execute(
        select(func.min(audit.c.number)).where(rows, audit.c.at >= before)
    ).scalar()
    first = head.next if first is None else first
    last = connection.execute(
        select(audit.c.digest).where(rows, audit.c.number == first - 1)
    ).scalar()
    if first <= head.first or last is None:
        return 0
    # First: the table lets no row go that the chain still counts.
    connection.execute(
        update(audit_chain).where(audit_chain.c.chain == chain).values(first=first, before=last)
    )
    connection.execute(delete(audit).where(rows, audit.c.number < first))
    return int(first - head.first)


def times(connection: Connection, key: str, generation: str, seqs: set[int]) -> dict[int, float]:
    """When templates of a gallery were added, by the seq that they were added at, as far as that is
    told: seconds since the epoch."""
    rows = connection.execute(
        select(audit.c.seq, func.min(audit.c.at).label("at"))
        .where(
            audit.c.chain == key,
            audit.c.tenant == tenant_of(key),
            audit.c.generation == generation,
            audit.c.result == OK,
            audit.c.action.in_(ADDING),
            audit.c.seq.in_(seqs),
        )
        .group_by(audit.c.seq)
    )
    return {row.seq: row.at for row in rows}
