"""The table ``data_key``, and who may use what of it. Functions of a connection, whose execution
option ``VAULT`` is the process's ``Vault``; without one nothing is sealed, and nothing sealed read.

Whoever seals holds the tenant's keys shared until its transaction is over: no version is added or
deleted meanwhile, so that what it sealed is by the newest version, and looked up by all there are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve_app.encryption import DataKey, TenantKeys, UnreadableError, Vault, WrappedKey
from serve_app.errors import UnavailableError
from serve_app.index.store.living import check_living
from serve_app.index.store.schema import counter, data_key

VAULT = "face_serve_vault"
MADE = "data keys"
"""The counter whose row is held while a tenant gets a version, or its last ones are deleted."""

LOCKED = (
    "the gallery store is encrypted with a key that this service does not have: give its source in "
    "args.encryption.keys; what an erased tenant had can't be read any more"
)

_ANY = select(data_key.c.version).limit(1)
"""Made once: every change of a database that is not encrypted asks it."""


class DataKeyWantedError(Exception):
    """A tenant has no data key yet. It is made in a transaction of its own, and the work begun
    again: one that was made within it could be rolled back after this process has learnt it."""

    def __init__(self, tenant: str) -> None:
        super().__init__("a tenant has no data key yet")
        self.tenant = tenant


def vault_of(connection: Connection) -> Vault | None:
    found: Vault | None = connection.get_execution_options().get(VAULT)
    return found


def sealing(connection: Connection, name: str) -> TenantKeys | None:
    """The keys of the tenant ``name``, held until the transaction is over; None where nothing is
    encrypted. To be called where something is written.

    Raises UnavailableError if one can't be unwrapped, and without a vault if anything is encrypted;
    InvalidRequestError for an erased tenant; DataKeyWantedError before there is one, which
    ``Transactions.write`` sees to.
    """
    vault = vault_of(connection)
    if vault is None:
        if connection.execute(_ANY).first() is not None:
            raise UnavailableError(LOCKED)  # or plain rows would be among sealed ones
        return None
    if (keys := _fixed(vault, name)) is not None:
        if not keys.versions:
            raise UnavailableError(LOCKED)
        return keys
    # Again: PostgreSQL's statement doesn't see a version that came while it waited for the lock.
    rows = wrapped(connection, name, share=True) and wrapped(connection, name)
    if not rows:
        check_living(connection, name)  # here it fails alone, not with its neighbours
        raise DataKeyWantedError(name)
    return _learnt(vault, name, rows)


def make_first(connection: Connection, name: str) -> None:
    """A transaction of its own. Raises InvalidRequestError for an erased tenant."""
    lock(connection)
    if not wrapped(connection, name):
        add(connection, name, 1)


def opening(connection: Connection, name: str, version: int) -> DataKey:
    """The tenant's key of that version. Raises UnavailableError."""
    vault = vault_of(connection)
    if vault is None:
        raise UnavailableError(LOCKED)
    keys = _fixed(vault, name) or vault.known(name)
    if keys is None or version not in keys.versions:
        keys = _learnt(vault, name, wrapped(connection, name))
    try:
        return keys.of(version)
    except UnreadableError:
        raise UnavailableError(LOCKED) from None


def present(connection: Connection, name: str) -> TenantKeys | None:
    """Every key that the tenant has as this transaction sees it; None where nothing is encrypted.
    Raises UnavailableError."""
    vault = vault_of(connection)
    if vault is None:
        return None
    fixed = _fixed(vault, name)
    return _learnt(vault, name, wrapped(connection, name)) if fixed is None else fixed


def wrapped(
    connection: Connection, name: str | None = None, *, share: bool = False
) -> list[WrappedKey]:
    """Of one tenant, or all; by version. ``share``: nobody deletes them or adds one until the
    transaction is over."""
    query = select(data_key).order_by(data_key.c.tenant, data_key.c.version)
    if name is not None:
        query = query.where(data_key.c.tenant == name)
    if share:
        query = query.with_for_update(read=True)  # SQLite has one writer, and ignores it
    return [
        WrappedKey(row.tenant, row.version, bytes(row.wrapped), row.wrapped_by)
        for row in connection.execute(query)
    ]


def lock(connection: Connection) -> None:
    """One transaction at a time makes or deletes keys."""
    held = update(counter).where(counter.c.name == MADE).values(value=counter.c.value + 1)
    if not connection.execute(held).rowcount:
        try:
            with connection.begin_nested():
                connection.execute(insert(counter).values(name=MADE, value=0))
        except IntegrityError:  # somebody was first
            connection.execute(held)


def hold(connection: Connection, name: str) -> list[WrappedKey]:
    """The tenant's keys, as soon as nobody seals with them; nobody does until the transaction is
    over. After ``lock``."""
    query = select(data_key.c.version).where(data_key.c.tenant == name).with_for_update()
    connection.execute(query).all()
    return wrapped(connection, name)


def add(connection: Connection, name: str, version: int) -> WrappedKey:
    """A new version, after ``lock``. Raises InvalidRequestError for an erased tenant."""
    vault = vault_of(connection)
    assert vault is not None
    check_living(connection, name)
    made = vault.new(name, version)
    _insert(connection, made)
    return made


def rewrap(connection: Connection, key: WrappedKey) -> None:
    """Write down the same key, wrapped anew."""
    connection.execute(
        update(data_key)
        .where(data_key.c.tenant == key.tenant, data_key.c.version == key.version)
        .values(wrapped=key.wrapped, wrapped_by=key.wrapped_by)
    )


def destroy(connection: Connection, name: str, versions: Sequence[int]) -> None:
    """What these versions sealed is unreadable from now on. After ``lock``."""
    connection.execute(
        delete(data_key).where(data_key.c.tenant == name, data_key.c.version.in_(versions))
    )
    if vault := vault_of(connection):
        vault.forget(name)


def _insert(connection: Connection, key: WrappedKey) -> None:
    connection.execute(
        insert(data_key).values(
            tenant=key.tenant,
            version=key.version,
            wrapped=key.wrapped,
            wrapped_by=key.wrapped_by,
            created_at=time.time(),
        )
    )


def _fixed(vault: Vault, name: str) -> TenantKeys | None:
    try:
        return vault.fixed(name)
    except UnreadableError:
        raise UnavailableError(LOCKED) from None


def _learnt(vault: Vault, name: str, rows: Sequence[WrappedKey]) -> TenantKeys:
    try:
        return vault.learn(name, rows)
    except UnreadableError:
        raise UnavailableError(LOCKED) from None
