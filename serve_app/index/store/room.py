"""Whether a tenant may have so much more. Functions of a connection, within the transaction that
adds it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from serve_app.errors import QuotaError
from serve_app.index.store.schema import HIDDEN, gallery, tenant
from serve_app.types import Caller

RETRY_AFTER_S = 60.0
"""Room comes when something is removed: nobody knows when."""


def check_room(connection: Connection, by: Caller, *, faces: int, galleries: int = 0) -> None:
    """Raises QuotaError if the tenant of ``by`` would have more than ``by`` may bring it to."""
    if by.max_faces is None and by.max_galleries is None:
        return
    # Those who add to the same tenant's galleries one after the other: else both might fit alone.
    connection.execute(select(tenant.c.name).where(tenant.c.name == by.tenant).with_for_update())
    counted = connection.execute(
        select(func.count(), func.coalesce(func.sum(gallery.c.size), 0)).where(
            gallery.c.tenant == by.tenant, gallery.c.state.not_in(HIDDEN)
        )
    ).one()
    _check("galleries", int(counted[0]), galleries, by.max_galleries)
    _check("faces", int(counted[1]), faces, by.max_faces)


def _check(what: str, there: int, more: int, most: int | None) -> None:
    if most is not None and more > 0 and there + more > most:
        raise QuotaError.after(
            f"over the quota of {what}: {there} of {most} are used, {more} more were asked for; "
            "remove some or ask for a larger quota",
            RETRY_AFTER_S,
        )
