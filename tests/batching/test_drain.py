from __future__ import annotations

import pytest

from serve_app.batching.drain import MEMORY, Drain


def work(drain: Drain, count: int, *, cost: int, items: int, seconds: float) -> None:
    for _ in range(count):
        drain.begun("batch", cost, items, 0.0)
        drain.ended("batch", seconds, done=cost)


def test_nothing_is_known_at_the_start() -> None:
    drain = Drain()
    assert (drain.pace_s, drain.usual_cost) == (0, 1)
    drain.begun("batch", 8, 8, 5.0)
    assert drain.wait_s(100, 1, 5.0) == 0


def test_means_forget() -> None:
    drain = Drain()
    work(drain, 50, cost=8, items=2, seconds=0.8)
    assert drain.pace_s == pytest.approx(0.1)
    assert drain.usual_cost == 4
    work(drain, MEMORY, cost=8, items=8, seconds=0.08)
    assert 0.01 < drain.pace_s < 0.06
    work(drain, 50, cost=8, items=8, seconds=0.08)
    assert drain.pace_s == pytest.approx(0.01, rel=0.1)
    assert drain.usual_cost == 1


def test_a_large_batch_counts_as_much_as_it_is() -> None:
    drain = Drain()
    work(drain, 1, cost=1, items=1, seconds=0.1)  # mostly the price of a call
    work(drain, 1, cost=99, items=99, seconds=1.0)
    assert drain.pace_s == pytest.approx(0.011, rel=0.05)


def test_the_wait_is_what_is_before_over_the_rate_of_all_slots() -> None:
    drain = Drain()
    work(drain, 50, cost=10, items=10, seconds=1.0)
    assert drain.wait_s(0, 2, 0.0) == 0  # slots are free
    drain.begun("a", 10, 10, 100.0)
    assert drain.wait_s(0, 2, 100.0) == 0
    drain.begun("b", 20, 20, 100.0)
    assert drain.wait_s(0, 2, 100.0) == pytest.approx(1.5)  # 30 are under way, 20 a second
    assert drain.wait_s(10, 2, 100.0) == pytest.approx(2.0)
    assert drain.wait_s(10, 2, 100.5) == pytest.approx(1.5)
    drain.ended("a", 101.0, done=10)
    assert drain.wait_s(10, 2, 101.0) == 0


def test_a_batch_that_is_late_counts_as_slow_before_it_is_back() -> None:
    drain = Drain()
    work(drain, 50, cost=10, items=10, seconds=1.0)
    drain.begun("stuck", 10, 10, 0.0)
    waits = [drain.wait_s(100, 1, now) for now in (0.0, 1.0, 2.0, 20.0)]
    assert waits == pytest.approx([11, 10, 20, 200])


def test_another_slot_goes_on_beside_one_that_is_stuck() -> None:
    drain = Drain()
    work(drain, 50, cost=10, items=10, seconds=1.0)
    drain.begun("stuck", 10, 10, 0.0)
    drain.begun("quick", 10, 10, 1000.0)
    assert drain.wait_s(100, 2, 1000.0) == pytest.approx(11, rel=0.01)


@pytest.mark.parametrize(("seconds", "pace_s"), [(0.01, 0.1), (1.0, 0.1), (30.0, 0.361)])
def test_what_was_broken_off_tells_only_if_it_took_long(seconds: float, pace_s: float) -> None:
    drain = Drain()
    work(drain, 100, cost=10, items=10, seconds=1.0)
    drain.begun("broken", 10, 10, 0.0)
    drain.ended("broken", seconds, done=0)
    assert drain.pace_s == pytest.approx(pace_s, rel=0.1)


def test_bad_items_that_are_refused_quickly_do_not_make_a_stage_look_quick() -> None:
    drain = Drain()
    work(drain, 50, cost=10, items=10, seconds=1.0)
    for done, seconds in ((0, 0.001), (2, 0.2)):
        for _ in range(50):
            drain.begun("batch", 10, 10, 0.0)
            drain.ended("batch", seconds, done=done)
        assert drain.pace_s == pytest.approx(0.1)
        assert drain.usual_cost == 1
