"""What ``AccessStore`` shows no way to: erased tenants, and buckets that nobody uses any more."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Connection

from serve_app.access import ALL_SCOPES, ApiKey
from serve_app.access.changes import Spent
from serve_app.errors import InvalidRequestError
from serve_app.index.store import GalleryStore, access_rows
from serve_app.index.store.access_store import AccessStore


def test_an_erased_tenant_gets_no_keys(any_store: GalleryStore) -> None:
    any_store.transactions.write(
        lambda connection: access_rows.change_tenant(connection, "gone", erased_at=time.time())
    )
    access = AccessStore(any_store)
    with pytest.raises(InvalidRequestError, match="was erased"):
        access.add(ApiKey("1b6a380c2cc8", "gone", "n", "s", ALL_SCOPES))
    assert access.listed() == []
    assert [one.erased for one in access.news(-1).tenants] == [True]


def test_idle_buckets_are_pruned(any_store: GalleryStore) -> None:
    access = AccessStore(any_store)
    access.spend({"key:a": Spent(5, 1e-9, 10)})

    def prune(connection: Connection) -> None:
        access_rows.prune(connection, idle_s=3600)

    any_store.transactions.write(prune)
    assert access.spend({"key:a": Spent(0, 1e-9, 10)})["key:a"] == pytest.approx(5)
    any_store.transactions.write(lambda connection: access_rows.prune(connection, idle_s=-1))
    assert access.spend({"key:a": Spent(0, 1e-9, 10)})["key:a"] == pytest.approx(10)
