"""Whom a ring lets in, over a registry that fails, hangs and changes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from serve_app.access import ALL_SCOPES, Quota, Scope, secrets
from serve_app.access import ring as rings
from serve_app.access.ring import MAX_AGE_S, WRONG, KeyRing
from serve_app.errors import (
    ForbiddenError,
    OverloadedError,
    QuotaError,
    UnauthorizedError,
    UnavailableError,
)
from tests.access.registry import MemoryRegistry, id_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def ring(registry: MemoryRegistry, clock: Clock) -> KeyRing:
    return KeyRing(registry, clock=clock, now=clock)


async def test_a_key_says_whose_it_is(ring: KeyRing, registry: MemoryRegistry) -> None:
    token = registry.make(Scope.READ, tenant="acme")
    admitted = await ring.admit(token, Scope.READ, "192.0.2.7")
    caller = admitted.caller
    assert (caller.tenant, caller.actor, caller.address) == ("acme", id_of(token), "192.0.2.7")
    assert (caller.max_faces, caller.max_galleries, admitted.body_bytes) == (None, None, None)


async def test_the_stricter_of_two_quotas_goes_with_the_caller(
    ring: KeyRing, registry: MemoryRegistry
) -> None:
    quota = Quota(faces=100, galleries=2, body_bytes=5000)
    token = registry.make(Scope.READ, tenant="acme", quota=quota)
    registry.set_tenant("acme", Quota(faces=50, galleries=7, body_bytes=9000))
    admitted = await ring.admit(token, Scope.READ, "")
    assert (admitted.caller.max_faces, admitted.caller.max_galleries) == (50, 2)
    assert admitted.body_bytes == 5000


async def refused(ring: KeyRing, token: str | None) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        await ring.admit(token, None, "")
    return str(caught.value)


async def test_whatever_is_wrong_with_a_key_it_is_told_the_same(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    right, expired = registry.make(*ALL_SCOPES), registry.make(expires_at=999.0)
    revoked, erased = registry.make(), registry.make(tenant="gone")
    registry.revoke(revoked)
    registry.set_tenant("gone", erased=True)
    stranger = MemoryRegistry().make(*ALL_SCOPES)
    mixed = f"{right[:15]}_{stranger[16:]}"
    assert id_of(mixed) == id_of(right)
    for token in (expired, revoked, erased, stranger, mixed, "", "fs_", right + "x", right[:-1]):
        assert await refused(ring, token) == WRONG
    assert "Authorization: Bearer" in await refused(ring, None)
    await ring.admit(right, None, "")


@pytest.mark.parametrize("needed", list(Scope))
async def test_only_the_scope_that_is_needed_opens(
    ring: KeyRing, registry: MemoryRegistry, needed: Scope
) -> None:
    right = [registry.make(needed), registry.make(*ALL_SCOPES)]
    wrong = [registry.make(*ALL_SCOPES - {needed}), registry.make()]
    for token in right:
        await ring.admit(token, needed, "")
    for token in wrong:
        with pytest.raises(ForbiddenError, match=needed):
            await ring.admit(token, needed, "")


async def test_a_key_that_expires_opens_nothing_from_then_on(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    token = registry.make(Scope.READ, expires_at=1002.0)
    await ring.admit(token, Scope.READ, "")
    clock.now = 1002.0
    assert await refused(ring, token) == WRONG


async def test_a_revoked_key_opens_nothing_within_the_age_that_news_may_have(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    token = registry.make(Scope.READ)
    await ring.admit(token, Scope.READ, "")
    registry.revoke(token)
    clock.now += MAX_AGE_S + 0.1
    assert await refused(ring, token) == WRONG


@pytest.mark.parametrize("failure", ["down", "hanging"])
async def test_where_nobody_tells_nothing_is_opened_after_that(
    ring: KeyRing,
    registry: MemoryRegistry,
    clock: Clock,
    failure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rings, "POLL_TIMEOUT_S", 0.05)
    token = registry.make(Scope.READ)
    await ring.admit(token, Scope.READ, "")
    setattr(registry, failure, True)
    clock.now += MAX_AGE_S
    await ring.admit(token, Scope.READ, "")  # what it was told counts so long
    clock.now += 0.1
    with pytest.raises(UnavailableError, match="can't be checked"):
        await ring.admit(token, Scope.READ, "")
    setattr(registry, failure, False)
    await ring.admit(token, Scope.READ, "")


async def test_only_what_changed_is_asked_for(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    token = registry.make(Scope.READ)
    for _ in range(3):
        await ring.admit(token, Scope.READ, "")
        clock.now += MAX_AGE_S + 0.1
    await ring.admit(token, Scope.READ, "")
    assert registry.asked == [-1, 1, 1, 1]


async def test_another_database_is_told_from_the_start(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    old, *_ = (registry.make(Scope.READ) for _ in range(3))
    await ring.admit(old, Scope.READ, "")
    registry.keys.clear()
    registry.revision = 0
    new = registry.make(Scope.READ)
    clock.now += MAX_AGE_S + 0.1
    await ring.admit(new, Scope.READ, "")
    assert await refused(ring, old) == WRONG


async def test_a_secret_is_hashed_once_and_a_wrong_one_never(
    ring: KeyRing, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    verify = secrets.verify

    def counted(secret: str, kept: str) -> bool:
        hashed.append(secret)
        return verify(secret, kept)

    monkeypatch.setattr(secrets, "verify", counted)
    token = registry.make(Scope.READ)
    for _ in range(5):
        await ring.admit(token, Scope.READ, "")
    wrong = f"{token[:15]}_{MemoryRegistry().make()[16:]}"
    for _ in range(5):
        assert await refused(ring, wrong) == WRONG
    assert len(hashed) == 1


async def test_a_tag_that_fits_by_chance_is_not_enough(
    ring: KeyRing, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "may_be", lambda *_: True)
    token = registry.make(Scope.READ)
    await ring.admit(token, Scope.READ, "")
    assert await refused(ring, f"{token[:15]}_{MemoryRegistry().make()[16:]}") == WRONG


async def test_a_key_that_was_given_another_secret_is_checked_anew(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    token = registry.make(Scope.READ)
    await ring.admit(token, Scope.READ, "")
    other = registry.keys[id_of(registry.make())].secret
    registry.put(replace(registry.keys[id_of(token)], secret=other))
    clock.now += MAX_AGE_S + 0.1
    assert await refused(ring, token) == WRONG


async def test_over_the_quota_it_says_when_to_come_back(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock
) -> None:
    token = registry.make(Scope.READ, quota=Quota(requests_per_s=0.5, burst=2))
    for _ in range(2):
        await ring.admit(token, Scope.READ, "")
    with pytest.raises(QuotaError, match="requests") as caught:
        await ring.admit(token, Scope.READ, "")
    assert isinstance(caught.value, OverloadedError)
    assert caught.value.retry_after_s == pytest.approx(2)
    clock.now += 2
    await ring.admit(token, Scope.READ, "")


async def test_a_tenants_keys_share_its_quota(ring: KeyRing, registry: MemoryRegistry) -> None:
    one, two = (registry.make(Scope.READ, tenant="acme") for _ in range(2))
    alone = registry.make(Scope.READ, tenant="other")
    registry.set_tenant("acme", Quota(requests_per_s=1, burst=2))
    await ring.admit(one, Scope.READ, "")
    await ring.admit(two, Scope.READ, "")
    for token in (one, two):
        with pytest.raises(QuotaError):
            await ring.admit(token, Scope.READ, "")
    await ring.admit(alone, Scope.READ, "")


async def test_what_is_refused_spends_nothing(ring: KeyRing, registry: MemoryRegistry) -> None:
    token = registry.make(Scope.READ, quota=Quota(requests_per_s=1, burst=1))
    with pytest.raises(ForbiddenError):
        await ring.admit(token, Scope.ADMIN, "")
    await ring.admit(token, Scope.READ, "")


async def test_it_is_told_by_itself_and_settles_what_was_spent(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the clock of the world: a key is known, and revoked, without anybody asking by it."""
    monkeypatch.setattr(rings, "POLL_S", 0.02)
    ring = KeyRing(registry)
    token = registry.make(Scope.READ, quota=Quota(requests_per_s=1, burst=5))
    registry.levels[f"key:{id_of(token)}"] = 0.0  # the other replicas have spent all
    async with ring.listening():
        await ring.admit(token, Scope.READ, "")
        await _until(lambda: bool(registry.spent))
        assert [spent.count for told in registry.spent for spent in told.values()] == [1]
        await asyncio.sleep(0.05)
        with pytest.raises(QuotaError):
            await ring.admit(token, Scope.READ, "")
        registry.down = True
        await asyncio.sleep(0.1)
        registry.down = False
        registry.revoke(token)
        seen = len(registry.asked)
        await _until(lambda: len(registry.asked) > seen + 1)
        assert await refused(ring, token) == WRONG
    asked = len(registry.asked)
    await asyncio.sleep(0.1)
    assert len(registry.asked) == asked


async def _until(reached: object) -> None:
    assert callable(reached)
    ends = time.monotonic() + 5
    while not reached():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


async def test_many_that_wait_for_one_hash_make_one(
    ring: KeyRing, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    verify = secrets.verify

    def counted(secret: str, kept: str) -> bool:
        hashed.append(secret)
        return verify(secret, kept)

    monkeypatch.setattr(secrets, "verify", counted)
    token = registry.make(Scope.READ)
    await asyncio.gather(*(ring.admit(token, Scope.READ, "") for _ in range(20)))
    assert len(hashed) == 1


async def test_a_key_that_is_revoked_while_its_hash_is_waited_for_opens_nothing(
    ring: KeyRing, registry: MemoryRegistry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = registry.make(Scope.READ)
    verify = secrets.verify

    def meanwhile(secret: str, kept: str) -> bool:
        registry.revoke(token)
        clock.now += MAX_AGE_S + 0.1
        return verify(secret, kept)

    monkeypatch.setattr(secrets, "verify", meanwhile)
    assert await refused(ring, token) == WRONG
