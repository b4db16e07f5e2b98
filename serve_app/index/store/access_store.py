"""The store's face for API keys, tenants and quotas: each method is one transaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from serve_app.access import ApiKey, Quota
from serve_app.access.changes import AccessNews, Spent, TenantHolding
from serve_app.errors import InvalidRequestError
from serve_app.index.store import access_rows
from serve_app.index.store.store import GalleryStore


class AccessStore:
    """In the database of ``store``. Thread-safe. Every method raises UnavailableError."""

    def __init__(self, store: GalleryStore) -> None:
        self._transactions = store.transactions

    def add(self, key: ApiKey) -> ApiKey:
        """Raises InvalidRequestError for a tenant that was erased."""
        return self._transactions.write(lambda connection: access_rows.add_key(connection, key))

    def listed(self, tenant: str | None = None) -> list[ApiKey]:
        """Of one tenant, or all; oldest first."""
        return self._transactions.query(lambda connection: access_rows.keys(connection, tenant))

    def revoke(self, key_id: str) -> ApiKey:
        """One that was revoked before keeps its time. Raises KeyNotFoundError."""

        def work(connection: Connection) -> ApiKey:
            key = access_rows.find_key(connection, key_id)
            if key.revoked_at is not None:
                return key
            return access_rows.change_key(connection, key_id, revoked_at=time.time())

        return self._transactions.write(work)

    def rotate(self, key_id: str, successor: ApiKey, grace_s: float) -> ApiKey:
        """``successor`` (id, secret, expiry if any), else as ``key_id``, which opens nothing
        ``grace_s`` seconds from now on. Raises KeyNotFoundError; InvalidRequestError for a key that
        opens nothing any more."""

        def work(connection: Connection) -> ApiKey:
            now = time.time()
            old = access_rows.find_key(connection, key_id)
            if not old.is_live(now):
                raise InvalidRequestError(
                    f"API key {key_id} opens nothing any more: create another"
                )
            until = now + grace_s
            if old.expires_at is not None:
                until = min(until, old.expires_at)
            access_rows.change_key(connection, key_id, expires_at=until)
            return access_rows.add_key(
                connection,
                replace(
                    old,
                    id=successor.id,
                    secret=successor.secret,
                    created_at=now,
                    expires_at=successor.expires_at or old.expires_at,
                ),
            )

        return self._transactions.write(work)

    def set_key_quota(self, key_id: str, quota: Quota) -> ApiKey:
        """Raises KeyNotFoundError."""
        return self._transactions.write(
            lambda connection: access_rows.change_key(connection, key_id, quota=quota.text())
        )

    def set_tenant_quota(self, tenant: str, quota: Quota) -> None:
        self._transactions.write(
            lambda connection: access_rows.set_quota(connection, tenant, quota)
        )

    def holdings(self) -> list[TenantHolding]:
        """Every tenant that has galleries, keys or a quota, by name."""
        return self._transactions.read(access_rows.holdings)

    def news(self, known: int) -> AccessNews:
        """What changed after the revision ``known``; everything if it is none of this database's.
        Waits for no writer, and does not try again."""
        return self._transactions.read(
            lambda connection: access_rows.news(connection, known), patient=False
        )

    def spend(self, spent: Mapping[str, Spent]) -> dict[str, float]:
        """Takes what replicas let through off the buckets that they share: what is left of each,
        below nothing where several spent the same."""
        return self._transactions.write(lambda connection: access_rows.spend(connection, spent))
