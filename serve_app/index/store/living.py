"""Whether a tenant may get anything new. A function of a connection."""

from __future__ import annotations

from sqlalchemy import Connection, select

from serve_app.errors import InvalidRequestError
from serve_app.index.store.schema import tenant


def check_living(connection: Connection, name: str) -> None:
    """Raises InvalidRequestError for an erased tenant: its name is never used again."""
    gone = select(tenant.c.name).where(tenant.c.name == name, tenant.c.erased_at.is_not(None))
    if connection.execute(gone).first() is not None:
        raise InvalidRequestError(f"tenant {name} was erased: choose another name")
