"""Token buckets that several replicas share, without asking anybody on a request's way.

Each replica spends from the level it last heard of, and tells about every second what it spent; the
store takes all replicas' use off one level and answers with what is left, below nothing where they
spent the same tokens. So over any T seconds N replicas let through at most
``rate * T + burst + (N - 1) * (burst + rate * interval)`` requests, and in the long run ``rate``:
what was let through too much is taken off what comes next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serve_app.access.changes import Spent
from serve_app.access.quota import Quota

IDLE_S = 60.0
"""A bucket that nobody took from for so long, and that is full, is forgotten."""


@dataclass(slots=True)
class _Bucket:
    rate: float
    burst: float
    level: float
    at: float
    spent: float = 0.0

    def refill(self, now: float) -> None:
        self.level = min(self.burst, self.level + self.rate * (now - self.at))
        self.at = now


class Buckets:
    """By subject (a key's or a tenant's name). Not thread-safe: of one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, wanted: Mapping[str, Quota]) -> float:
        """One request of every subject in ``wanted`` that has a rate: 0 if all have room, else the
        seconds until they do, and nothing is taken."""
        now = self._clock()
        limited = [
            self._bucket(subject, quota, now)
            for subject, quota in wanted.items()
            if quota.requests_per_s is not None
        ]
        wait_s = max(((1 - bucket.level) / bucket.rate for bucket in limited), default=0.0)
        if wait_s > 0:
            return wait_s
        for bucket in limited:
            bucket.level -= 1
            bucket.spent += 1
        return 0.0

    def report(self) -> dict[str, Spent]:
        """What was spent since the last report. It counts as told, whether or not it arrives."""
        now = self._clock()
        told = {}
        for subject, bucket in list(self._buckets.items()):
            if bucket.spent:
                told[subject] = Spent(bucket.spent, bucket.rate, bucket.burst)
                bucket.spent = 0.0
            elif now - bucket.at > IDLE_S + bucket.burst / bucket.rate:
                del self._buckets[subject]
        return told

    def settle(self, levels: Mapping[str, float]) -> None:
        """``levels``: what the store says is left; what was spent while it was asked is not in it.
        A level above our own is the others' unspent refill: ours counts then."""
        now = self._clock()
        for subject, level in levels.items():
            if (bucket := self._buckets.get(subject)) is not None:
                bucket.refill(now)
                bucket.level = min(bucket.level, level - bucket.spent)

    def _bucket(self, subject: str, quota: Quota, now: float) -> _Bucket:
        rate, burst = quota.requests_per_s or 0.0, quota.bucket
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = self._buckets[subject] = _Bucket(rate, burst, burst, now)
        elif (bucket.rate, bucket.burst) != (rate, burst):
            bucket.refill(now)
            bucket.rate, bucket.burst = rate, burst
        bucket.refill(now)
        return bucket
