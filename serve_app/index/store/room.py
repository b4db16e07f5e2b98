"""Whether a tenant may have so much more. Functions of a connection, within the transaction that
adds it."""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from serve_app.errors import QuotaError
from serve_app.index.store.schema import HIDDEN, gallery, tenant
from serve_app.types import Caller

RETRY_AFTER_S = 60.0
"""Room comes when something is removed: nobody knows when."""


def check_room(connection: Connection, by: Caller, *, faces: int, galleries: int = 0) -> None:
    """Raises QuotaError if the tenant of ``by`` would have more than ``by`` may bring it to."""
    if by.max_faces is None and by.max_galleries is None:
        return
    _lock(connection, by.tenant)
    counted = connection.execute(
        select(func.count(), func.coalesce(func.sum(gallery.c.size), 0)).where(
            gallery.c.tenant == by.tenant, gallery.c.state.not_in(HIDDEN)
        )
    ).one()
    _check("galleries", int(counted[0]), galleries, by.max_galleries)
    _check("faces", int(counted[1]), faces, by.max_faces)


def _lock(connection: Connection, name: str) -> None:
    """Those who add to the same tenant's galleries come one after the other: else both might fit
    alone. What is locked is the tenant's row, which is made where there was none to say."""
    query = select(tenant.c.name).where(tenant.c.name == name).with_for_update()
    if connection.execute(query).first() is not None:
        return
    new = insert(tenant).values(name=name, created_at=time.time(), revision=0)
    try:
        with connection.begin_nested():
            connection.execute(new)
    except IntegrityError:  # somebody was first
        connection.execute(query)


def _check(what: str, there: int, more: int, most: int | None) -> None:
    if most is not None and more > 0 and there + more > most:
        raise QuotaError.after(
            f"over the quota of {what}: {there} of {most} are used, {more} more were asked for; "
            "remove some or ask for a larger quota",
            RETRY_AFTER_S,
        )
