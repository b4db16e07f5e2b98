"""The store's face for data keys: what is sealed by which, rotation, rewrapping, erasing a tenant.

Each method says which transactions it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Delete, delete, select, update

from serve_app.encryption import Vault, WrappedKey
from serve_app.encryption.data_keys import rewrapped
from serve_app.errors import ConfigError
from serve_app.index.records import SnapshotRow
from serve_app.index.store import access_rows, auditing, data_keys, resealing, upkeep
from serve_app.index.store.auditing import Entry
from serve_app.index.store.schema import PREVIOUS, READY, api_key, gallery, job
from serve_app.index.store.schema import tenant as tenant_table
from serve_app.index.store.store import GalleryStore
from serve_app.index.store.writing import change_gallery
from serve_app.types import OPERATOR

GRACE_S = 5.0
"""From the last row that was sealed anew until the key that sealed it before is deleted: a reader
that has read it has opened it by then."""

BREATH_S = 0.01
"""Between two pages: SQLite lets whoever asks next write, and not whoever waits longest."""

DROPPED = "erase_tenant"
"""What the audit log calls it."""

Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class TenantState:
    """``rows``: how many are sealed by which version of the key, None by none; ``snapshots``
    likewise; ``wrapped_by``: the master key's id for each version."""

    tenant: str
    wrapped_by: dict[int, str]
    rows: dict[int | None, int]
    snapshots: dict[int | None, int]


class EncryptionStore:
    """In the database of ``store``. Every method raises UnavailableError."""

    def __init__(self, store: GalleryStore, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._transactions = store.transactions
        self._pause = pause

    def tenants(self) -> list[str]:
        """Every tenant that has a gallery, a job or a data key, by name; also "", the default."""
        return self._transactions.read(_tenants)

    def living(self) -> list[str]:
        """``tenants`` without those that were erased."""
        query = select(tenant_table.c.name).where(tenant_table.c.erased_at.is_not(None))
        gone = self._transactions.query(lambda c: set(c.execute(query).scalars()))
        return [name for name in self.tenants() if name not in gone]

    def state(self, tenant: str) -> TenantState:
        """One moment. It counts every row."""

        def look(connection: Connection) -> TenantState:
            keys = data_keys.wrapped(connection, tenant)
            held: dict[int | None, int] = {}
            for row in _snapshots(connection, tenant):
                held[row.key_version] = held.get(row.key_version, 0) + 1
            return TenantState(
                tenant,
                {key.version: key.wrapped_by for key in keys},
                resealing.counts(connection, tenant),
                held,
            )

        return self._transactions.read(look)

    def wrapped_keys(self) -> list[WrappedKey]:
        """Every tenant's, wrapped as they are."""
        return self._transactions.query(data_keys.wrapped)

    def new_version(self, tenant: str) -> int:
        """What is sealed from now on is by the version that is returned. One transaction, after
        those that seal by another. Raises ConfigError where nothing is encrypted,
        InvalidRequestError for an erased tenant."""
        self._vault()

        def work(connection: Connection) -> int:
            data_keys.lock(connection)
            there = data_keys.hold(connection, tenant)
            version = max((key.version for key in there), default=0) + 1
            data_keys.add(connection, tenant, version)
            return version

        return self._transactions.write(work)

    def reseal(self, tenant: str, progress: Progress = lambda: None) -> None:
        """Every row of a tenant by its newest key; small transactions. Begun again, it goes on."""
        query = self._transactions.query
        for key, generation in query(lambda c: resealing.generations(c, tenant)):
            for page in (resealing.templates, resealing.sources):
                self._reseal(partial(page, key=key, generation=generation), progress)
        for job_id in query(lambda c: resealing.jobs(c, tenant)):
            self._reseal(partial(resealing.job_rows, job_id=job_id), progress)
        self._store.erase()

    def snapshots(self, tenant: str) -> list[tuple[str, SnapshotRow]]:
        """Of a tenant's galleries, each with its gallery's key."""

        def look(connection: Connection) -> list[tuple[str, SnapshotRow]]:
            found = resealing.generations(connection, tenant)
            names = {generation: key for key, generation in found}
            return [(names[row.generation], row) for row in _snapshots(connection, tenant)]

        return self._transactions.read(look)

    def retire(self, tenant: str) -> list[int]:
        """Delete the versions that nothing needs any more; those that were. ``GRACE_S`` seconds,
        then a transaction: nothing is sealed by any but the newest meanwhile."""
        state = self.state(tenant)
        newest = max(state.wrapped_by, default=0)
        old = [
            version
            for version in state.wrapped_by
            if version != newest and not state.rows.get(version)
        ]
        if not old:
            return []
        self._pause(GRACE_S)

        def work(connection: Connection) -> list[int]:
            data_keys.lock(connection)
            data_keys.hold(connection, tenant)
            needed = {row.key_version for row in _snapshots(connection, tenant)}
            needed |= resealing.counts(connection, tenant).keys()  # nobody seals any more
            gone = [version for version in old if version not in needed]
            data_keys.destroy(connection, tenant, gone)
            return gone

        gone = self._transactions.write(work)
        self._store.erase()
        return gone

    def rewrap(self) -> int:
        """Every data key is wrapped by the first master key from now on: how many were not. One
        transaction."""
        vault = self._vault()

        def work(connection: Connection) -> int:
            data_keys.lock(connection)
            keys = [
                key
                for key in data_keys.wrapped(connection)
                if key.wrapped_by != vault.master.first.id
            ]
            for key in keys:
                data_keys.rewrap(connection, rewrapped(vault.master, key))
            return len(keys)

        changed = self._transactions.write(work)
        self._store.erase()
        return changed

    def erase_keys(self, tenant: str) -> int:
        """Delete every data key of a tenant, revoke its API keys and hide its galleries: how many
        data keys there were. One transaction. What they sealed is unreadable, here at once,
        elsewhere within ``vault.KEPT_S``, and no key is ever made for that name again."""

        def work(connection: Connection) -> int:
            now = time.time()
            _hide(connection, tenant)  # first: writers lock galleries before keys
            access_rows.change_tenant(connection, tenant, erased_at=now)
            live = api_key.c.revoked_at.is_(None)
            connection.execute(
                update(api_key)
                .where(api_key.c.tenant == tenant, live)
                .values(revoked_at=now, revision=access_rows.next_revision(connection))
            )
            data_keys.lock(connection)
            versions = [key.version for key in data_keys.hold(connection, tenant)]
            data_keys.destroy(connection, tenant, versions)
            return len(versions)

        count = self._transactions.write(work)
        self._store.erase()
        return count

    def drop_all(self, tenant: str) -> tuple[int, list[str]]:
        """Delete a tenant's galleries, staged and replaced ones too, and its jobs; a transaction
        each. How many galleries there were, and the names of their snapshots, which are to be
        removed from where they lie."""
        names = [row.name for _, row in self.snapshots(tenant)]
        found = self._transactions.query(lambda c: resealing.generations(c, tenant))
        for _, generation in found:
            gone = delete(gallery).where(gallery.c.generation == generation)
            self._transactions.write(partial(_execute, statement=gone))
        self._transactions.write(
            partial(_execute, statement=delete(job).where(job.c.tenant == tenant))
        )
        self._store.erase()
        return len(found), names

    def _reseal(self, page: Callable[..., int | None], progress: Progress) -> None:
        after: int | None = -1
        while after is not None:
            after = self._transactions.write(partial(page, after=after))
            progress()
            self._pause(BREATH_S)

    def _vault(self) -> Vault:
        vault = self._transactions.vault
        if vault is None:
            raise ConfigError("args.encryption.keys names no master key: nothing is encrypted")
        return vault


def _tenants(connection: Connection) -> list[str]:
    names = {""}
    for column in (gallery.c.tenant, job.c.tenant):
        names |= set(connection.execute(select(column).distinct()).scalars())
    return sorted(names | {key.tenant for key in data_keys.wrapped(connection)})


def _snapshots(connection: Connection, tenant: str) -> list[SnapshotRow]:
    of = {generation for _, generation in resealing.generations(connection, tenant)}
    return [row for row in upkeep.every_snapshot(connection) if row.generation in of]


def _hide(connection: Connection, tenant: str) -> None:
    """No replica serves the tenant's galleries from its memory any more."""
    query = select(gallery).where(gallery.c.tenant == tenant, gallery.c.state == READY)
    rows = connection.execute(query.order_by(gallery.c.id).with_for_update()).all()
    for row in rows:
        change_gallery(connection, row, key=f"erased:{row.key}", state=PREVIOUS)
    auditing.write(
        connection,
        [
            Entry(row.key, OPERATOR, DROPPED, row.generation, row.seq, count=row.size)
            for row in rows
        ],
    )


def _execute(connection: Connection, statement: Delete) -> None:
    connection.execute(statement)
