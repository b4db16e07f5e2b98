"""The keys that an ingress replica knows, and whom it lets in by them.

Nobody is asked on a request's way: the ring asks every second what changed. What it was told counts
for ``MAX_AGE_S`` and no longer, so a revoked key opens nothing after that, on any replica, whatever
happens to whoever tells it. Beside that it tells what was spent of the quotas.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from serve_app.access import secrets
from serve_app.access.buckets import Buckets
from serve_app.access.changes import AccessNews, Registry, TenantQuota
from serve_app.access.keys import ApiKey, Scope, parse_token
from serve_app.access.quota import NO_LIMITS, strictest
from serve_app.errors import (
    FaceServeError,
    ForbiddenError,
    QuotaError,
    UnauthorizedError,
    UnavailableError,
)
from serve_app.types import Caller

logger = logging.getLogger(__name__)

POLL_S, POLL_TIMEOUT_S, MAX_AGE_S = 1.0, 2.0, 4.0
ASK_FIRST = -1
"""The revision before all others: everything is told."""

MISSING = "this service needs an API key: send the header 'Authorization: Bearer KEY'"
WRONG = "this API key opens nothing: it is wrong, expired or revoked"


@dataclass(frozen=True, slots=True)
class Admitted:
    """``body_bytes``: that its request may have, None where only the service's limit counts."""

    caller: Caller
    body_bytes: int | None


class KeyRing:
    """Of one event loop. Where ``registry`` fails, it is asked again."""

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._now = now
        self._buckets = Buckets(clock)
        self._keys: dict[str, ApiKey] = {}
        self._tenants: dict[str, TenantQuota] = {}
        self._revision = ASK_FIRST
        self._told_at = -MAX_AGE_S
        # By key: a digest of the token that its hash was checked with, and that hash.
        self._verified: dict[str, tuple[bytes, str]] = {}
        self._hashing = asyncio.Semaphore(1)
        self._asking: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While inside, it is told every ``POLL_S`` seconds what is new."""
        tasks = [asyncio.ensure_future(each) for each in (self._listen(), self._settle())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def admit(self, token: str | None, needed: Scope | None, address: str) -> Admitted:
        """Who presents ``token``, if it may ask for what needs a scope, or none, now.

        Raises UnauthorizedError, ForbiddenError, QuotaError; UnavailableError while nothing is
        known for certain.
        """
        if token is None:
            raise UnauthorizedError(MISSING)
        await self._be_fresh()
        key = await self._identify(token)
        if needed is not None and needed not in key.scopes:
            raise ForbiddenError(f"this API key lacks the scope '{needed}', which this needs")
        tenant = self._tenants.get(key.tenant)
        quotas = {f"key:{key.id}": key.quota}
        shared = NO_LIMITS
        if tenant is not None:
            shared = quotas[f"tenant:{tenant.name}"] = tenant.quota
        if wait_s := self._buckets.take(quotas):
            raise QuotaError.after("over the quota of requests", wait_s)
        caller = Caller(
            key.tenant,
            key.id,
            address,
            strictest(key.quota.faces, shared.faces),
            strictest(key.quota.galleries, shared.galleries),
        )
        return Admitted(caller, strictest(key.quota.body_bytes, shared.body_bytes))

    async def _identify(self, token: str) -> ApiKey:
        parsed = parse_token(token)
        if parsed is None:
            raise UnauthorizedError(WRONG)
        key_id, secret = parsed
        key = self._live(key_id)
        digest = hashlib.sha256(token.encode()).digest()
        if self._is_verified(key, digest):
            return key
        if not secrets.may_be(secret, key.secret):
            raise UnauthorizedError(WRONG)
        async with self._hashing:  # one at a time: each takes 19 MB
            # While it waited, the key may have been revoked, or another request checked it.
            await self._be_fresh()
            key = self._live(key_id)
            if not self._is_verified(key, digest):
                await self._verify(key, secret, digest)
        await self._be_fresh()
        key = self._live(key_id)
        if not self._is_verified(key, digest):  # it was given another secret meanwhile
            raise UnauthorizedError(WRONG)
        return key

    async def _verify(self, key: ApiKey, secret: str, digest: bytes) -> None:
        if not await asyncio.to_thread(secrets.verify, secret, key.secret):
            raise UnauthorizedError(WRONG)
        self._verified[key.id] = digest, key.secret

    def _is_verified(self, key: ApiKey, digest: bytes) -> bool:
        known, secret = self._verified.get(key.id, (b"", ""))
        return hmac.compare_digest(known, digest) and secret == key.secret

    def _live(self, key_id: str) -> ApiKey:
        """The key as it is known now. Raises UnauthorizedError."""
        key = self._keys.get(key_id)
        if key is None or not self._opens(key):
            raise UnauthorizedError(WRONG)
        return key

    def _opens(self, key: ApiKey) -> bool:
        tenant = self._tenants.get(key.tenant)
        return key.is_live(self._now()) and not (tenant is not None and tenant.erased)

    async def _be_fresh(self) -> None:
        if self._clock() - self._told_at <= MAX_AGE_S:
            return
        with contextlib.suppress(FaceServeError, TimeoutError):
            await asyncio.shield(self._ask())
        if self._clock() - self._told_at > MAX_AGE_S:
            raise UnavailableError("API keys can't be checked just now; try again shortly")

    async def _listen(self) -> None:
        while True:
            try:
                await asyncio.shield(self._ask())
            except (FaceServeError, TimeoutError) as error:
                logger.warning("API keys: nothing was told (%s)", type(error).__name__)
            await asyncio.sleep(POLL_S)

    async def _settle(self) -> None:
        """Apart from listening: this waits for writers."""
        while True:
            await asyncio.sleep(POLL_S)
            if spent := self._buckets.report():
                try:
                    self._buckets.settle(await self._registry.spend(spent))
                except FaceServeError as error:
                    # It may have been taken off all the same: told again, it would be twice.
                    logger.warning("quotas: nothing was settled (%s)", type(error).__name__)

    def _ask(self) -> asyncio.Task[None]:
        """One question at a time, whoever wants to know."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._hear())
            self._asking.add_done_callback(_seen)
        return self._asking

    async def _hear(self) -> None:
        asked_at = self._clock()
        async with asyncio.timeout(POLL_TIMEOUT_S):
            self._take(await self._registry.news(self._revision))
        self._told_at = asked_at

    def _take(self, news: AccessNews) -> None:
        if news.whole:
            self._keys, self._tenants = {}, {}
        self._keys |= {key.id: key for key in news.keys}
        self._tenants |= {tenant.name: tenant for tenant in news.tenants}
        self._revision = news.revision
        for gone in [name for name, key in self._keys.items() if not self._opens(key)]:
            self._verified.pop(gone, None)
        for gone in self._verified.keys() - self._keys.keys():
            del self._verified[gone]


def _seen(task: asyncio.Task[None]) -> None:
    """Its failure was seen by whoever waited, or is told of by the next question."""
    if not task.cancelled():
        task.exception()
