"""Buckets alone, and many that share a level: what they let through against what they promise."""

from __future__ import annotations

import random

import pytest

from serve_app.access.buckets import IDLE_S, Buckets
from serve_app.access.changes import Spent
from serve_app.access.quota import NO_LIMITS, Quota

SLOW = Quota(requests_per_s=2, burst=4)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_let_through_and_then_the_rate(clock: Clock) -> None:
    buckets = Buckets(clock)
    assert [buckets.take({"key:a": SLOW}) for _ in range(4)] == [0, 0, 0, 0]
    assert buckets.take({"key:a": SLOW}) == pytest.approx(0.5)
    clock.now += 0.5
    assert buckets.take({"key:a": SLOW}) == 0
    assert buckets.take({"key:a": SLOW}) > 0


def test_what_has_no_rate_is_not_counted(clock: Clock) -> None:
    buckets = Buckets(clock)
    assert all(buckets.take({"key:a": NO_LIMITS}) == 0 for _ in range(1000))
    assert buckets.report() == {}


def test_all_subjects_must_have_room_or_none_is_taken_from(clock: Clock) -> None:
    buckets = Buckets(clock)
    roomy = Quota(requests_per_s=100, burst=100)
    both = {"key:a": roomy, "tenant:t": SLOW}
    assert [buckets.take(both) for _ in range(5)][:4] == [0, 0, 0, 0]
    assert buckets.report() == {"key:a": Spent(4, 100, 100), "tenant:t": Spent(4, 2, 4)}


def test_what_is_reported_once_is_not_reported_again(clock: Clock) -> None:
    buckets = Buckets(clock)
    buckets.take({"key:a": SLOW})
    assert buckets.report() == {"key:a": Spent(1, 2, 4)}
    assert buckets.report() == {}
    buckets.take({"key:a": SLOW})
    assert buckets.report() == {"key:a": Spent(1, 2, 4)}


def test_a_level_that_others_spent_from_counts_here(clock: Clock) -> None:
    buckets = Buckets(clock)
    buckets.take({"key:a": SLOW})
    buckets.report()
    buckets.settle({"key:a": -1.0})
    assert buckets.take({"key:a": SLOW}) == pytest.approx(1.0)  # two tokens at two a second


def test_what_was_spent_while_the_others_were_asked_is_taken_off_too(clock: Clock) -> None:
    buckets = Buckets(clock)
    buckets.take({"key:a": SLOW})
    buckets.report()
    buckets.take({"key:a": SLOW})  # after the report
    buckets.settle({"key:a": 1.0})
    assert buckets.take({"key:a": SLOW}) > 0


def test_another_quota_counts_from_the_next_request_on(clock: Clock) -> None:
    buckets = Buckets(clock)
    for _ in range(4):
        buckets.take({"key:a": SLOW})
    assert buckets.take({"key:a": Quota(requests_per_s=1000, burst=10)}) > 0
    clock.now += 0.01
    assert buckets.take({"key:a": Quota(requests_per_s=1000, burst=10)}) == 0


def test_idle_buckets_are_forgotten(clock: Clock) -> None:
    buckets = Buckets(clock)
    buckets.take({"key:a": SLOW})
    buckets.report()
    clock.now += IDLE_S + 3
    buckets.report()
    buckets.settle({"key:a": -100.0})  # of nobody any more
    assert buckets.take({"key:a": SLOW}) == 0


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_replicas_together_let_through_no_more_than_they_promise(replicas: int) -> None:
    """Each asks as fast as it can for a minute, settling every second at a moment of its own."""
    clock, draw = Clock(), random.Random(replicas)
    quota = Quota(requests_per_s=20, burst=40)
    shared, at = quota.bucket, clock.now
    each = [Buckets(clock) for _ in range(replicas)]
    settled = [clock.now + draw.random() for _ in each]
    let = [0.0] * 61
    for step in range(60_000):
        clock.now = 100.0 + step / 1000
        for number, buckets in enumerate(each):
            if buckets.take({"key:a": quota}) == 0:
                let[int(clock.now - 100)] += 1
            if clock.now >= settled[number] + 1:
                settled[number] = clock.now
                for subject, spent in buckets.report().items():
                    shared = min(quota.bucket, shared + 20 * (clock.now - at)) - spent.count
                    at = clock.now
                    buckets.settle({subject: shared})
    promised = (replicas - 1) * (40 + 20 * 1)
    for seconds in (1, 5, 20, 60):
        for start in range(0, 61 - seconds):
            assert sum(let[start : start + seconds]) <= 20 * (seconds + 1) + 40 + promised
    assert sum(let) <= 20 * 60 + 40 + promised
    assert sum(let) >= 0.9 * (20 * 60 + 40)  # and no less than what was paid for
