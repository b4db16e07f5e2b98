"""What an ingress replica is told of keys and tenants, and what it tells of their use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from serve_app.access.keys import ApiKey
from serve_app.access.quota import Quota


@dataclass(frozen=True, slots=True)
class TenantQuota:
    """Of one tenant; ``erased``: it has no galleries any more, and its keys open nothing."""

    name: str
    quota: Quota
    erased: bool = False


@dataclass(frozen=True, slots=True)
class TenantHolding:
    """What a tenant has. ``faces``: templates in its galleries; ``keys``: of any state."""

    tenant: TenantQuota
    galleries: int = 0
    faces: int = 0
    keys: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """Requests of one subject since it was last told, and its bucket."""

    count: float
    rate: float
    burst: float


@dataclass(frozen=True, slots=True)
class AccessNews:
    """Everything that changed after a revision. ``whole``: all there is, not only what changed."""

    revision: int
    keys: Sequence[ApiKey] = ()
    tenants: Sequence[TenantQuota] = ()
    whole: bool = False


class Registry(Protocol):
    """Where keys are kept and use is counted. Both methods raise FaceServeError."""

    async def news(self, known: int) -> AccessNews:
        """What changed after the revision ``known``; everything if it is none of this registry's.
        Waits for no writer."""
        ...

    async def spend(self, spent: Mapping[str, Spent]) -> Mapping[str, float]:
        """Takes what was let through off the buckets that all replicas share: what is left of each.
        May wait for other writers."""
        ...
