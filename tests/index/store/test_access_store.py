"""Keys, tenants and shared buckets on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from serve_app.access import ALL_SCOPES, ApiKey, Quota, Scope
from serve_app.access.changes import Spent
from serve_app.errors import InvalidRequestError, KeyNotFoundError
from serve_app.index.store import GalleryStore
from serve_app.index.store.access_store import AccessStore
from tests.index.samples import build

FIRST = ApiKey(
    "1b6a380c2cc8", "acme", "terminal", "tag:hash", frozenset({Scope.READ}), Quota(faces=7)
)
SECOND = ApiKey("000000000002", "", "ops", "tag:other", ALL_SCOPES, created_at=5.0)


@pytest.fixture
def access(any_store: GalleryStore) -> AccessStore:
    return AccessStore(any_store)


def test_keys_are_listed_as_they_were_made(access: AccessStore) -> None:
    assert access.add(FIRST) == replace(FIRST, revision=access.news(0).revision)
    access.add(SECOND)
    assert [replace(key, revision=0) for key in access.listed()] == [FIRST, SECOND]
    assert [key.id for key in access.listed("acme")] == [FIRST.id]
    assert access.listed("nobody") == []


def test_news_is_what_changed_since(access: AccessStore) -> None:
    nothing = access.news(-1)
    assert (nothing.keys, nothing.tenants, nothing.whole) == ([], [], True)
    access.add(FIRST)
    first = access.news(nothing.revision)
    assert [key.id for key in first.keys] == [FIRST.id]
    access.add(SECOND)
    access.set_tenant_quota("acme", Quota(requests_per_s=5))
    second = access.news(first.revision)
    assert [key.id for key in second.keys] == [SECOND.id]
    assert [(one.name, one.quota) for one in second.tenants] == [("acme", Quota(requests_per_s=5))]
    assert not second.whole
    assert access.news(second.revision).keys == []
    access.revoke(FIRST.id)
    (revoked,) = access.news(second.revision).keys
    assert (revoked.id, revoked.is_live(time.time())) == (FIRST.id, False)


def test_a_revision_that_is_not_of_this_database_is_told_everything(access: AccessStore) -> None:
    access.add(FIRST)
    for known in (-1, 999):
        told = access.news(known)
        assert told.whole
        assert [key.id for key in told.keys] == [FIRST.id]


def test_a_key_is_revoked_once(access: AccessStore) -> None:
    access.add(FIRST)
    first = access.revoke(FIRST.id)
    assert access.revoke(FIRST.id) == first
    for call in (access.revoke, lambda key: access.rotate(key, SECOND, 0)):
        with pytest.raises(KeyNotFoundError):
            call("ffffffffffff")


def test_a_rotated_key_opens_for_the_grace_and_its_successor_may_the_same(
    access: AccessStore,
) -> None:
    access.add(replace(FIRST, expires_at=None))
    before = time.time()
    made = access.rotate(FIRST.id, SECOND, grace_s=100)
    old, new = access.listed("acme")
    assert made == new
    assert (new.id, new.secret) == (SECOND.id, SECOND.secret)
    assert (new.name, new.tenant, new.scopes, new.quota) == (
        FIRST.name, FIRST.tenant, FIRST.scopes, FIRST.quota,
    )  # fmt: skip
    assert old.expires_at is not None
    assert before + 100 <= old.expires_at <= time.time() + 100
    assert new.expires_at is None


def test_no_rotation_prolongs_a_key_or_revives_one(access: AccessStore) -> None:
    soon = time.time() + 50
    access.add(replace(FIRST, expires_at=soon))
    access.rotate(FIRST.id, SECOND, grace_s=100)
    assert [key.expires_at for key in access.listed()] == [soon, soon]
    access.revoke(SECOND.id)
    third = replace(SECOND, id="000000000003")
    with pytest.raises(InvalidRequestError, match="opens nothing any more"):
        access.rotate(SECOND.id, third, grace_s=0)
    assert len(access.listed()) == 2


def test_a_quota_is_replaced_whole(access: AccessStore) -> None:
    access.add(FIRST)
    assert access.set_key_quota(FIRST.id, Quota(galleries=2)).quota == Quota(galleries=2)
    access.set_tenant_quota("acme", Quota(faces=3))
    access.set_tenant_quota("acme", Quota(galleries=4))
    (tenant,) = access.news(-1).tenants
    assert tenant.quota == Quota(galleries=4)


def test_holdings_are_what_each_tenant_has(access: AccessStore, any_store: GalleryStore) -> None:
    build(any_store, "staff", 3)
    build(any_store, "acme/friends", 2)
    build(any_store, "acme/others", 1)
    access.add(FIRST)
    access.set_tenant_quota("empty", Quota(faces=1))
    found = [(one.tenant.name, one.galleries, one.faces, one.keys) for one in access.holdings()]
    assert found == [("", 1, 3, 0), ("acme", 2, 3, 1), ("empty", 0, 0, 0)]


def test_shared_buckets_refill_and_go_below_nothing(access: AccessStore) -> None:
    assert access.spend({"key:a": Spent(4, rate=2, burst=10)})["key:a"] == pytest.approx(6, abs=0.5)
    levels = access.spend({"key:a": Spent(9, 2, 10), "key:b": Spent(1, 1, 1)})
    assert levels["key:a"] == pytest.approx(-3, abs=1)
    assert levels["key:b"] == pytest.approx(0, abs=0.5)
    time.sleep(0.5)
    assert access.spend({"key:a": Spent(0, 2, 10)})["key:a"] == pytest.approx(-2, abs=1)


def test_what_many_spend_at_once_is_all_taken_off(access: AccessStore) -> None:
    def spend(_: int) -> None:
        access.spend({f"key:{name}": Spent(1, 1e-9, 100) for name in "ba"})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(spend, range(40)))
    levels = access.spend({"key:a": Spent(0, 1e-9, 100), "key:b": Spent(0, 1e-9, 100)})
    assert levels == {"key:a": pytest.approx(60), "key:b": pytest.approx(60)}


def test_changes_at_once_each_have_a_revision_of_their_own(access: AccessStore) -> None:
    def add(number: int) -> None:
        access.add(replace(FIRST, id=f"{number:012x}"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(24)))
    revisions = sorted(key.revision for key in access.listed())
    assert len(set(revisions)) == 24
    assert access.news(-1).revision == revisions[-1]
