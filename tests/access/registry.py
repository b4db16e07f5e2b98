"""A registry in memory, for tests: keys with their tokens, and how often it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from serve_app.access import NO_LIMITS, ApiKey, Quota, Scope
from serve_app.access.changes import AccessNews, Spent, TenantQuota
from serve_app.access.keys import new_token, parse_token
from serve_app.access.secrets import hash_secret
from serve_app.errors import UnavailableError


class MemoryRegistry:
    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.tenants: dict[str, TenantQuota] = {}
        self.revision = 0
        self.asked: list[int] = []
        self.spent: list[Mapping[str, Spent]] = []
        self.levels: dict[str, float] = {}
        self.down = False
        self.hanging = False

    def make(
        self,
        *scopes: Scope,
        tenant: str = "",
        quota: Quota = NO_LIMITS,
        expires_at: float | None = None,
    ) -> str:
        """A key's token."""
        token = new_token()
        parsed = parse_token(token)
        assert parsed is not None
        key_id, secret = parsed
        self.put(
            ApiKey(
                key_id,
                tenant,
                "test",
                hash_secret(secret),
                frozenset(scopes),
                quota,
                expires_at=expires_at,
            )
        )
        return token

    def put(self, key: ApiKey) -> None:
        self.revision += 1
        self.keys[key.id] = replace(key, revision=self.revision)

    def revoke(self, token: str) -> None:
        self.put(replace(self.keys[id_of(token)], revoked_at=1.0))

    def set_tenant(self, name: str, quota: Quota = NO_LIMITS, *, erased: bool = False) -> None:
        self.revision += 1
        self.tenants[name] = TenantQuota(name, quota, erased)

    async def news(self, known: int) -> AccessNews:
        self.asked.append(known)
        await self._reach()
        whole = not 0 <= known <= self.revision
        keys = [key for key in self.keys.values() if whole or key.revision > known]
        return AccessNews(self.revision, keys, list(self.tenants.values()), whole)

    async def spend(self, spent: Mapping[str, Spent]) -> Mapping[str, float]:
        await self._reach()
        self.spent.append(spent)
        return {subject: self.levels[subject] for subject in spent if subject in self.levels}

    async def _reach(self) -> None:
        if self.hanging:
            await asyncio.Event().wait()
        if self.down:
            raise UnavailableError("down")


def id_of(token: str) -> str:
    parsed = parse_token(token)
    assert parsed is not None
    return parsed[0]
