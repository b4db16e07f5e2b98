from __future__ import annotations

import math

import pytest

from load_tests.traffic.attempts import NO_ANSWER, Attempt
from load_tests.traffic.summary import last_bad, percentile, phases, stage_times, summarise


def attempt(due_s: float, took_s: float, status: int = 200, timing: str = "") -> Attempt:
    return Attempt("p", "infer", due_s, due_s, due_s + took_s, status, timing=timing)


def test_percentiles_are_of_good_answers_and_statuses_of_all() -> None:
    attempts = [attempt(n / 10, 0.001 * n) for n in range(1, 101)]
    attempts += [attempt(1, 30, 429), attempt(2, 60, NO_ANSWER)]
    found = summarise(attempts, 10)
    assert found.p50_ms == pytest.approx(50.5)
    assert found.p99_ms == pytest.approx(99.01)
    assert found.max_ms == pytest.approx(100)
    assert found.statuses == {0: 1, 200: 100, 429: 1}
    assert (found.sent, found.good, found.failed) == (102, 100, 2)


def test_answers_after_the_time_are_no_throughput() -> None:
    assert summarise([attempt(0, 0.5), attempt(1, 0.5), attempt(1.5, 0.6)], 2).rate == 1.0


def test_what_was_not_measured_is_no_number() -> None:
    assert math.isnan(percentile([], 99))
    assert math.isnan(summarise([attempt(0, 1, 500)], 1).p99_ms)


def test_stage_times_are_medians_of_server_timing() -> None:
    timings = ['queue;dur=1.5, detect;desc="find";dur=4', "queue;dur=2.5", ""]
    attempts = [attempt(0, 1, timing=timing) for timing in timings]
    assert stage_times(attempts) == {"queue": 2.0, "detect": 4.0}


def test_the_last_bad_one_is_by_when_it_was_due() -> None:
    attempts = [attempt(3, 9, 500), attempt(7, 1, 500), attempt(8, 1)]
    assert last_bad(attempts, lambda one: not one.is_good) == 7
    assert last_bad(attempts[2:], lambda one: not one.is_good) is None


def test_phases_keep_their_order() -> None:
    named = [Attempt(name, "infer", 0, 0, 1, 200) for name in ("b", "a", "b")]
    assert {name: len(found) for name, found in phases(named).items()} == {"b": 2, "a": 1}
