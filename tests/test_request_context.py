from __future__ import annotations

import asyncio
import time
from math import inf

import pytest

from serve_app.request_context import (
    UNTRACED,
    RequestContext,
    Spans,
    Trace,
    current_request,
    in_request,
)


def test_times_of_a_stage_add_up() -> None:
    spans = Spans({"queue": 1.0})
    spans.add("queue", 0.5)
    spans.add("detect", 2.0)
    spans.add_all({"detect": 1.0, "decode": 4.0})
    assert spans.seconds == {"queue": 1.5, "detect": 3.0, "decode": 4.0}


def test_what_fails_took_its_time_too() -> None:
    def fail() -> None:
        time.sleep(0.01)
        raise ValueError("broken")

    spans = Spans()
    with pytest.raises(ValueError, match="broken"), spans.measure("draw"):
        fail()
    assert spans.seconds["draw"] >= 0.01


def test_what_is_left_of_a_deadline() -> None:
    context = RequestContext.within(10)
    now = time.monotonic()
    assert 5 < context.remaining_s(now) <= 10
    assert context.remaining_s(now + 20) < 0
    assert (context.timeout_s, context.admitted) == (10, False)
    assert RequestContext().remaining_s(now) == inf


async def test_tasks_of_a_request_share_its_context_and_others_do_not() -> None:
    async def seen() -> RequestContext:
        await asyncio.sleep(0)
        return current_request()

    one, other = RequestContext(), RequestContext()
    with in_request(one):
        mine = asyncio.create_task(seen())
        with in_request(other):
            others = asyncio.create_task(seen())
        assert current_request() is one
    assert await mine is one
    assert await others is other


def test_outside_of_a_request_there_is_no_deadline_and_nothing_is_kept() -> None:
    current_request().spans.add("queue", 1)
    assert current_request().spans.seconds == {}
    assert current_request().deadline == inf


def test_an_interval_is_told_to_the_trace_and_a_sum_is_not() -> None:
    class Kept(Trace):
        def __init__(self) -> None:
            self.seen: list[tuple[str, float]] = []

        def past(self, name: str, seconds: float, /) -> None:
            self.seen.append((name, seconds))

    trace = Kept()
    context = RequestContext.within(10, trace=trace)
    context.spans.add("queue", 0.5)
    context.spans.add_all({"detect": 1.0})
    assert trace.seen == [("queue", 0.5)]
    assert RequestContext().spans.trace is UNTRACED


def test_the_time_of_a_request_may_be_set_later() -> None:
    context = RequestContext()
    context.set_timeout(10)
    assert 5 < context.remaining_s(time.monotonic()) <= 10
    assert context.timeout_s == 10
