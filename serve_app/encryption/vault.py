"""Unwrapped data keys, kept for seconds: long enough that unwrapping is off every hot path, short
enough that a key that was deleted is unusable within five seconds, in every process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from serve_app.encryption.data_keys import TenantKeys, WrappedKey, new_key, unwrapped
from serve_app.encryption.master import MasterKeys

KEPT_S = 4.0


@dataclass(frozen=True, slots=True)
class _Entry:
    rows: tuple[WrappedKey, ...]
    keys: TenantKeys
    until: float


class Vault:
    """Of one process. Thread-safe. Whoever reads the table ``data_key`` lets it ``learn``.

    ``fixed``: a tenant's keys that are in no table, as those of a backup: they are all there is.
    """

    def __init__(
        self,
        master: MasterKeys,
        *,
        fixed: Sequence[WrappedKey] | None = None,
        kept_s: float = KEPT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.master = master
        self._kept_s = kept_s
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._fixed = None if fixed is None else _by_tenant(fixed)

    def fixed(self, tenant: str) -> TenantKeys | None:
        """The keys that it was made with; None if a table has them. Raises UnreadableError."""
        if self._fixed is None:
            return None
        return self.known(tenant) or self.learn(tenant, self._fixed.get(tenant, []))

    def known(self, tenant: str) -> TenantKeys | None:
        """What was learnt in the last seconds."""
        with self._lock:
            self._sweep()
            entry = self._entries.get(tenant)
            return None if entry is None else entry.keys

    def learn(self, tenant: str, rows: Sequence[WrappedKey]) -> TenantKeys:
        """``rows``: all that there are, just read. Raises UnreadableError, and knows nothing then,
        if one of them can't be unwrapped."""
        with self._lock:
            self._sweep()
            entry = self._entries.pop(tenant, None)
            before = {} if entry is None else entry.keys.versions
            there = {} if entry is None else {row: before[row.version] for row in entry.rows}
            keys = TenantKeys(
                {row.version: there.get(row) or unwrapped(self.master, row) for row in rows}
            )
            self._entries[tenant] = _Entry(tuple(rows), keys, self._clock() + self._kept_s)
            return keys

    def forget(self, tenant: str) -> None:
        """At once, and not only in some seconds."""
        with self._lock:
            self._entries.pop(tenant, None)

    def new(self, tenant: str, version: int) -> WrappedKey:
        """A new data key, to be written down."""
        return new_key(self.master, tenant, version)

    def _sweep(self) -> None:
        """Keys that nobody asks for must not stay either."""
        now = self._clock()
        for tenant in [name for name, entry in self._entries.items() if entry.until <= now]:
            del self._entries[tenant]


def _by_tenant(rows: Sequence[WrappedKey]) -> Mapping[str, list[WrappedKey]]:
    found: dict[str, list[WrappedKey]] = {}
    for row in rows:
        found.setdefault(row.tenant, []).append(row)
    return found
