"""Work-conserving: idle sends at once, busy gathers; and nobody's answer goes to somebody else."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from serve_app.batching import Batcher, BatchEvent, BatchRecord, Dropped, Forecast, Piece
from serve_app.config import BatchSettings
from serve_app.errors import (
    DeadlineExceededError,
    FaceServeError,
    InvalidImageError,
    OverloadedError,
    UnavailableError,
)
from serve_app.request_context import RequestContext

Item = TypeVar("Item")


def batching(
    run: Callable[[list[Item]], Awaitable[Sequence[Any]]], settings: BatchSettings, **options: Any
) -> Batcher[Item, Any]:
    """A batcher over ``run``, which only looks at the items."""

    async def on_items(pieces: list[Piece[Item]]) -> Sequence[Any]:
        return await run([piece.item for piece in pieces])

    return Batcher(on_items, settings, **options)


class Time:
    """Stands still unless the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now


class Stage:
    """Receives batches and answers each when the test says so: item * 10."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self._open: list[asyncio.Future[None]] = []
        self.most_at_once = 0

    async def __call__(self, items: list[int]) -> Sequence[int | FaceServeError]:
        self.batches.append(items)
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open.append(gate)
        self.most_at_once = max(self.most_at_once, len(self._open))
        try:
            await gate
        except asyncio.CancelledError:
            self._open = [one for one in self._open if one is not gate]
            raise
        return [item * 10 for item in items]

    def finish(self, position: int = 0, error: Exception | None = None) -> None:
        """End the batch that is under way at ``position``, oldest first."""
        gate = self._open.pop(position)
        if error is None:
            gate.set_result(None)
        else:
            gate.set_exception(error)

    def break_off(self) -> None:
        """As when somebody cancels what runs the batch."""
        self._open.pop(0).cancel()


async def settle() -> None:
    """Until every task has gone as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def submit(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.ensure_future(batcher.submit(item)) for item in items]


def own_cost(item: int) -> int:
    return item


# --- when it sends ---


async def test_idle_sends_at_once_and_busy_gathers() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=1, max_cost=8))
    tasks = submit(batcher, 1)
    await settle()
    assert stage.batches == [[1]]
    tasks += submit(batcher, 2, 3, 4)
    await settle()
    assert stage.batches == [[1]]
    stage.finish()
    await settle()
    assert stage.batches == [[1], [2, 3, 4]]
    stage.finish()
    assert await asyncio.gather(*tasks) == [10, 20, 30, 40]


async def test_slots_bound_the_batches_under_way() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=3, max_cost=1))
    tasks = submit(batcher, *range(7))
    for done in range(7):
        await settle()
        assert len(stage.batches) == min(done + 3, 7)
        stage.finish()
    assert await asyncio.gather(*tasks) == [item * 10 for item in range(7)]
    assert stage.most_at_once == 3


async def test_a_free_slot_sends_though_another_is_busy() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=2, max_cost=8))
    tasks = submit(batcher, 1)
    await settle()
    tasks += submit(batcher, 2)
    await settle()
    assert stage.batches == [[1], [2]]
    stage.finish(1)
    await settle()
    assert tasks[1].result() == 20
    assert not tasks[0].done()
    stage.finish()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("slots", "items", "batches"),
    [
        (1, 5, [[1, 2, 3, 4, 5]]),
        (2, 5, [[1, 2, 3], [4, 5]]),
        (4, 5, [[1, 2], [3], [4], [5]]),
        (2, 1, [[1]]),
        (1, 10, [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10]]),
    ],
)
async def test_what_comes_together_is_dealt_evenly_to_the_free_slots(
    slots: int, items: int, batches: list[list[int]]
) -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=slots, max_cost=8), together=True)
    tasks = submit(batcher, *range(1, items + 1))
    await settle()
    assert stage.batches == batches[:slots]
    while not all(task.done() for task in tasks):
        stage.finish()
        await settle()
    assert stage.batches == batches


async def test_what_comes_apart_waits_for_nobody_though_others_come_together() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=2, max_cost=8), together=True)
    tasks = submit(batcher, 1)
    await settle()
    tasks += submit(batcher, 2, 3)
    await settle()
    assert stage.batches == [[1], [2, 3]]
    stage.finish()
    stage.finish()
    assert await asyncio.gather(*tasks) == [10, 20, 30]


async def test_cost_fills_a_batch_first_come_first_served() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_cost=10, overtake_s=0), cost=own_cost)
    tasks = submit(batcher, 1, 6, 4, 5, 5, 1)
    batches = [[1], [6, 4], [5, 5], [1]]
    for count in range(1, len(batches) + 1):
        await settle()
        assert stage.batches == batches[:count]
        stage.finish()
    assert await asyncio.gather(*tasks) == [10, 60, 40, 50, 50, 10]


async def test_a_cheap_item_overtakes_a_dear_one_once_it_is_known_what_that_takes() -> None:
    time = Time()
    stage = Stage()
    settings = BatchSettings(max_cost=10, overtake_s=10)
    batcher = batching(stage, settings, cost=own_cost, clock=time.clock)
    tasks = submit(batcher, 1)
    await settle()
    time.now = 0.1  # a unit of cost takes so long
    stage.finish()
    await settle()
    tasks += submit(batcher, 1, 8, 5, 2)
    await settle()
    time.now = 0.6
    tasks += submit(batcher, 3)  # its place is at 1.2, that of 5 at 1.1, that of 8 at 1.7
    await settle()
    for _ in range(3):
        stage.finish()
        await settle()
    assert stage.batches == [[1], [1], [2, 5, 3], [8]]
    await asyncio.gather(*tasks)


async def test_first_come_first_served_where_nobody_may_overtake() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_cost=10, overtake_s=0), cost=own_cost)
    tasks = submit(batcher, 1, 8, 5, 2)
    for _ in range(3):
        await settle()
        stage.finish()
    assert stage.batches == [[1], [8], [5, 2]]
    await asyncio.gather(*tasks)


async def test_an_item_dearer_than_a_batch_goes_alone() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_cost=10, overtake_s=0), cost=own_cost)
    tasks = submit(batcher, 1, 2, 30, 3)
    for _ in range(4):
        await settle()
        stage.finish()
    assert stage.batches == [[1], [2], [30], [3]]
    assert await asyncio.gather(*tasks) == [10, 20, 300, 30]


# --- the queue ---


async def test_a_full_queue_refuses() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_queue_cost=10, overtake_s=0), cost=own_cost)
    tasks = submit(batcher, 1)
    await settle()
    tasks += submit(batcher, 4, 6)  # what is under way does not count
    await settle()
    assert batcher.queued_cost == 10
    with pytest.raises(OverloadedError):
        await batcher.submit(1)
    assert batcher.queued_cost == 10
    stage.finish()
    await settle()
    assert batcher.queued_cost == 6
    late = submit(batcher, 2)
    while not all(task.done() for task in [*tasks, *late]):
        stage.finish()
        await settle()
    assert await asyncio.gather(*tasks, *late) == [10, 40, 60, 20]
    assert batcher.queued_cost == 0


async def test_an_empty_queue_takes_even_the_dearest_item() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_queue_cost=10), cost=own_cost)
    tasks = submit(batcher, 1, 50)
    await settle()
    assert batcher.queued_cost == 50
    stage.finish()
    await settle()
    stage.finish()
    assert await asyncio.gather(*tasks) == [10, 500]


async def test_a_cancelled_waiting_item_never_runs_and_frees_its_cost() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_cost=10, overtake_s=0), cost=own_cost)
    tasks = submit(batcher, 1, 7, 9, 3)
    await settle()
    tasks[2].cancel()
    await settle()
    stage.finish()
    await settle()
    assert stage.batches == [[1], [7, 3]]  # the nine in between takes no room
    assert batcher.queued_cost == 0
    stage.finish()
    assert await asyncio.gather(*tasks[:2], tasks[3]) == [10, 70, 30]
    assert tasks[2].cancelled()


async def test_cancelled_items_do_not_keep_a_queue_full() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_queue_cost=3))
    tasks = submit(batcher, 1, 2, 3, 4)
    await settle()
    for task in tasks[1:]:
        task.cancel()
    await settle()
    late = submit(batcher, 5)
    await settle()
    stage.finish()
    await settle()
    assert stage.batches == [[1], [5]]
    stage.finish()
    assert await asyncio.gather(tasks[0], *late) == [10, 50]


async def test_a_cancelled_running_item_leaves_the_others_alone() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings())
    tasks = submit(batcher, 1, 2, 3)
    await settle()
    stage.finish()
    await settle()
    tasks[1].cancel()
    await settle()
    stage.finish()
    await settle()
    assert tasks[1].cancelled()
    assert [tasks[0].result(), tasks[2].result()] == [10, 30]
    late = submit(batcher, 4)  # and its slot is free again
    await settle()
    stage.finish()
    assert await asyncio.gather(*late) == [40]


# --- failures ---


async def test_an_error_among_the_answers_fails_its_item_alone() -> None:
    async def run(items: list[int]) -> Sequence[int | FaceServeError]:
        return [InvalidImageError("bad") if item == 2 else item for item in items]

    batcher = batching(run, BatchSettings())
    results = await asyncio.gather(*submit(batcher, 1, 2, 3), return_exceptions=True)
    assert [results[0], results[2]] == [1, 3]
    assert isinstance(results[1], InvalidImageError)


@pytest.mark.parametrize("retry", [False, True])
async def test_a_run_that_raises_fails_its_batch_and_no_other(retry: bool) -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_cost=2), retry=retry)
    tasks = submit(batcher, 1, 2, 3, 4)
    await settle()
    stage.finish()
    await settle()
    stage.finish(error=ValueError("broken"))
    await settle()
    stage.finish()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[3]] == [10, 40]
    assert [type(result) for result in results[1:3]] == [ValueError, ValueError]
    assert stage.batches == [[1], [2, 3], [4]]  # not tried again: it may have had effects


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_wrong_number_of_answers_fails_the_batch(count: int) -> None:
    async def run(items: list[int]) -> Sequence[int | FaceServeError]:
        await asyncio.sleep(0)
        return [0] * count if len(items) == 2 else items

    batcher = batching(run, BatchSettings())
    results = await asyncio.gather(*submit(batcher, 1, 2, 3), return_exceptions=True)
    assert results[0] == 1
    assert [type(result) for result in results[1:]] == [FaceServeError, FaceServeError]
    assert await batcher.submit(4) == 4


class Dying:
    """Unavailable for batches that hold ``poison``, and for the first ``deaths`` batches."""

    def __init__(self, *, deaths: int = 0, poison: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self._deaths = deaths
        self._poison = poison

    async def __call__(self, items: list[int]) -> Sequence[int | FaceServeError]:
        self.batches.append(items)
        await asyncio.sleep(0)
        if self._poison in items or len(self.batches) <= self._deaths:
            raise UnavailableError("the replica died")
        return [item * 10 for item in items]


async def test_items_of_a_dead_replica_are_tried_again_singly() -> None:
    """The one that killed it must not take its neighbours along twice."""
    stage = Dying(poison=3)
    batcher = batching(stage, BatchSettings(), retry=True)
    results = await asyncio.gather(*submit(batcher, 1, 2, 3, 4), return_exceptions=True)
    assert stage.batches == [[1], [2, 3, 4], [2], [3], [4]]
    assert [results[0], results[1], results[3]] == [10, 20, 40]
    assert isinstance(results[2], UnavailableError)
    assert await batcher.submit(5) == 50


async def test_a_single_item_is_tried_again_once() -> None:
    stage = Dying(deaths=1)
    batcher = batching(stage, BatchSettings(), retry=True)
    assert await batcher.submit(7) == 70
    assert stage.batches == [[7], [7]]


async def test_nothing_is_tried_again_unless_that_is_safe() -> None:
    stage = Dying(deaths=1)
    batcher = batching(stage, BatchSettings())
    with pytest.raises(UnavailableError, match="replica died"):
        await batcher.submit(7)
    assert stage.batches == [[7]]
    assert await batcher.submit(8) == 80


async def test_a_cancelled_item_is_not_tried_again() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=1), retry=True)
    tasks = submit(batcher, 1)
    await settle()
    tasks += submit(batcher, 2, 3)
    stage.finish()
    await settle()
    tasks[1].cancel()
    stage.finish(error=UnavailableError("the replica died"))
    await settle()
    assert stage.batches == [[1], [2, 3], [3]]
    stage.finish()
    assert await tasks[2] == 30


@pytest.mark.parametrize("first", [None, UnavailableError("the replica died")])
async def test_a_batch_that_is_broken_off_leaves_nobody_waiting(first: Exception | None) -> None:
    """Also if that happens while its items are tried again."""
    stage = Stage()
    batcher = batching(stage, BatchSettings(), retry=True)
    tasks = submit(batcher, 1)
    await settle()
    tasks += submit(batcher, 2, 3)
    stage.finish()
    await settle()
    if first is not None:
        stage.finish(error=first)
        await settle()
    stage.break_off()
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert results[0] == 10
    assert [type(result) for result in results[1:]] == [UnavailableError, UnavailableError]
    late = submit(batcher, 4)  # and the slot is free again
    await settle()
    stage.finish()
    assert await asyncio.gather(*late) == [40]


request_id = contextvars.ContextVar("request_id", default="none")


async def test_a_batch_runs_in_nobodys_context() -> None:
    """Ray keeps the request there: when its client goes, it cancels what was called in it."""
    seen: list[str] = []

    async def run(items: list[int]) -> Sequence[int | FaceServeError]:
        seen.append(request_id.get())
        return items

    batcher = batching(run, BatchSettings(max_cost=2))
    request_id.set("mine")
    assert await asyncio.gather(*submit(batcher, 1, 2, 3)) == [1, 2, 3]
    assert seen == ["none", "none"]


# --- settings and records ---


async def test_configure_applies_to_what_waits() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=1, max_cost=1))
    tasks = submit(batcher, 1, 2, 3, 4)
    await settle()
    assert stage.batches == [[1]]
    batcher.configure(BatchSettings(slots=2, max_cost=2))
    await settle()
    assert stage.batches == [[1], [2, 3]]
    batcher.configure(BatchSettings(slots=1, max_cost=2))
    stage.finish()
    await settle()
    assert stage.batches == [[1], [2, 3]]  # one under way, one slot
    stage.finish()
    await settle()
    assert stage.batches == [[1], [2, 3], [4]]
    stage.finish()
    assert await asyncio.gather(*tasks) == [10, 20, 30, 40]


async def test_an_observer_that_fails_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def observe(event: BatchEvent) -> None:
        raise ValueError("no such metric")

    batcher = batching(Dying(), BatchSettings(), observe=observe)
    assert await asyncio.wait_for(batcher.submit(1), 5) == 10
    assert "ValueError" in caplog.text
    assert "no such metric" not in caplog.text


async def test_each_batch_is_told_with_the_wait_of_each_item() -> None:
    time, stage = Time(), Stage()
    records: list[BatchEvent] = []
    contexts = [RequestContext() for _ in range(4)]
    batcher = batching(
        stage,
        BatchSettings(max_cost=10),
        cost=own_cost,
        observe=records.append,
        clock=time.clock,
    )
    tasks = [asyncio.ensure_future(batcher.submit(1, contexts[0]))]
    for item, context in zip((3, 4, 2), contexts[1:], strict=True):
        time.now += 1
        tasks.append(asyncio.ensure_future(batcher.submit(item, context)))
        await settle()
    time.now = 5
    stage.finish()
    await settle()
    stage.finish()
    await asyncio.gather(*tasks)
    assert records == [BatchRecord(1, (0.0,)), BatchRecord(9, (4.0, 3.0, 2.0))]
    assert [context.spans.seconds["queue"] for context in contexts] == [0, 4, 3, 2]


# --- deadlines, and clients that went away ---


def within(time: Time, seconds: float) -> RequestContext:
    return RequestContext(deadline=time.now + seconds)


async def test_what_is_past_its_deadline_is_not_sent() -> None:
    time, stage = Time(), Stage()
    events: list[BatchEvent] = []
    batcher = batching(stage, BatchSettings(max_cost=2), observe=events.append, clock=time.clock)
    tasks = submit(batcher, 1)
    await settle()
    tasks += [
        asyncio.ensure_future(batcher.submit(item, within(time, seconds)))
        for item, seconds in ((2, 1.0), (3, 2.0), (4, 3.0), (5, 1.9))
    ]
    await settle()
    time.now = 2.0
    stage.finish()
    await settle()
    assert stage.batches == [[1], [4]]
    stage.finish()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[3]] == [10, 40]
    assert [type(results[i]) for i in (1, 2, 4)] == [DeadlineExceededError] * 3
    assert [event for event in events if isinstance(event, Dropped)] == [Dropped("expired")] * 3
    assert batcher.queued_cost == 0


async def test_what_comes_too_late_is_not_sent_even_if_a_slot_is_free() -> None:
    time, stage = Time(), Stage()
    batcher = batching(stage, BatchSettings(), clock=time.clock)
    with pytest.raises(DeadlineExceededError):
        await asyncio.wait_for(batcher.submit(1, within(time, -1)), 5)
    assert stage.batches == []
    assert batcher.is_idle


async def test_what_expired_while_a_replica_died_is_not_tried_again() -> None:
    time, stage = Time(), Stage()
    batcher = batching(stage, BatchSettings(), retry=True, clock=time.clock)
    tasks = submit(batcher, 1)
    await settle()
    tasks += [asyncio.ensure_future(batcher.submit(2, within(time, 1)))]
    tasks += submit(batcher, 3)
    stage.finish()
    await settle()
    time.now = 2.0
    stage.finish(error=UnavailableError("the replica died"))
    await settle()
    assert stage.batches == [[1], [2, 3], [3]]
    stage.finish()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], DeadlineExceededError)
    assert results[2] == 30


async def test_dropped_items_are_told_by_reason() -> None:
    stage = Stage()
    events: list[BatchEvent] = []
    batcher = batching(stage, BatchSettings(max_queue_cost=2), observe=events.append)
    tasks = submit(batcher, 1, 2, 3)
    await settle()
    with pytest.raises(OverloadedError):
        await batcher.submit(4)
    tasks[1].cancel()
    await settle()
    assert [e for e in events if isinstance(e, Dropped)] == [Dropped("full"), Dropped("gone")]
    stage.finish()
    await settle()
    stage.finish()
    await asyncio.gather(tasks[0], tasks[2])


@pytest.mark.parametrize("abandon", [False, True])
async def test_a_batch_nobody_waits_for_is_abandoned_if_that_ends_it(abandon: bool) -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(max_cost=2), abandon=abandon)
    tasks = submit(batcher, 1)
    await settle()
    tasks += submit(batcher, 2, 3, 4)
    stage.finish()
    await settle()
    assert stage.batches == [[1], [2, 3]]
    tasks[1].cancel()
    await settle()
    assert stage.batches == [[1], [2, 3]]  # somebody waits still
    tasks[2].cancel()
    await settle()
    assert stage.batches == [[1], [2, 3], [4]] if abandon else [[1], [2, 3]]
    if not abandon:
        stage.finish()
        await settle()
    stage.finish()
    assert await asyncio.wait_for(tasks[3], 5) == 40
    assert batcher.is_idle


async def test_callers_that_leave_at_once_leave_a_free_slot() -> None:
    stage = Stage()
    batcher = batching(stage, BatchSettings(slots=1), abandon=True)
    for turns in range(4):
        (task,) = submit(batcher, 1)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await settle()
        assert batcher.is_idle
    (late,) = submit(batcher, 2)
    await settle()
    stage.finish()
    assert await asyncio.wait_for(late, 5) == 20


async def test_pieces_say_whether_they_are_wanted() -> None:
    """To whoever runs them, also in a thread: the rest of a batch may not be."""
    time = Time()
    seen: list[bool] = []
    gate = asyncio.Event()

    async def run(pieces: list[Piece[int]]) -> Sequence[int]:
        await gate.wait()
        seen.extend(piece.is_wanted(time.now) for piece in pieces)
        return [piece.item for piece in pieces]

    batcher: Batcher[int, int] = Batcher(run, BatchSettings(slots=3, max_cost=1), clock=time.clock)
    tasks = submit(batcher, 1, 2)
    late = asyncio.ensure_future(batcher.submit(3, within(time, 1)))
    await settle()
    time.now = 1.0
    tasks[0].cancel()
    await settle()
    gate.set()
    await asyncio.gather(tasks[1], late)
    assert seen == [False, True, False]


async def test_what_fails_is_not_taken_for_quick_work() -> None:
    time = Time()

    async def run(items: list[int]) -> Sequence[int | FaceServeError]:
        time.now += 0.001 if 0 in items else 8.0
        return [item or InvalidImageError("bad") for item in items]

    batcher = batching(run, BatchSettings(max_cost=1), cost=lambda _: 8, clock=time.clock)
    assert await batcher.submit(1) == 1
    for _ in range(30):
        with pytest.raises(InvalidImageError):
            await batcher.submit(0)
    assert batcher.forecast(1).service_s == 1.0


async def test_a_forecast_counts_what_would_be_taken_before() -> None:
    time, stage = Time(), Stage()
    settings = BatchSettings(max_cost=4, overtake_s=1000)
    batcher = batching(stage, settings, cost=own_cost, clock=time.clock)
    assert batcher.forecast() == Forecast(0.0, 0.0, is_backlog=False)
    tasks = submit(batcher, 4)
    await settle()
    time.now = 4.0  # a second for each unit
    stage.finish()
    await settle()
    tasks += submit(batcher, 1, 2, 8, 1)
    await settle()
    assert batcher.forecast(1).is_backlog is False
    small, large, usual = batcher.forecast(1), batcher.forecast(8), batcher.forecast()
    assert (small.service_s, large.service_s, usual.service_s) == (1, 8, 4)
    assert (small.is_backlog, large.is_backlog, usual.is_backlog) == (False, True, False)
    assert small.wait_s == pytest.approx(1 + 1)  # what runs, and the one before it
    assert usual.wait_s == pytest.approx(1 + 1 + 2)
    assert large.wait_s == pytest.approx(1 + 1 + 2 + 8)
    while not all(task.done() for task in tasks):
        stage.finish()
        await settle()


# --- all at once ---


@pytest.mark.parametrize("seed", range(8))
async def test_everyone_gets_the_answer_to_their_own_item(seed: int) -> None:
    """Random costs, settings, failures, deaths and cancellations."""
    chance = random.Random(seed)
    settings = BatchSettings(
        slots=chance.randint(1, 4), max_cost=chance.randint(1, 20), max_queue_cost=10_000
    )
    under_way = 0

    async def run(items: list[tuple[int, int]]) -> Sequence[int | FaceServeError]:
        nonlocal under_way
        under_way += 1
        assert under_way <= settings.slots
        assert len(items) == 1 or sum(cost for _, cost in items) <= settings.max_cost
        await asyncio.sleep(chance.random() * 0.002)
        under_way -= 1
        kind = chance.random()
        if kind < 0.1:
            raise UnavailableError("the replica died")
        if kind < 0.15:
            raise ValueError("broken")
        return [InvalidImageError(str(n)) if n % 7 == 0 else n for n, _ in items]

    def cost(item: tuple[int, int]) -> int:
        return item[1]

    batcher = batching(run, settings, cost=cost, retry=True)

    async def client(number: int) -> str:
        await asyncio.sleep(chance.random() * 0.05)
        work = batcher.submit((number, chance.randint(1, 6)))
        patience = 0.001 if number % 11 == 0 else 10
        try:
            answer = await asyncio.wait_for(work, patience)
        except TimeoutError:
            assert number % 11 == 0
            return "gave up"
        except InvalidImageError as error:
            return "bad item" if str(error) == str(number) and number % 7 == 0 else "mixed up"
        except (UnavailableError, ValueError):
            return "broken"
        assert answer == number
        assert number % 7
        return "answered"

    outcomes = await asyncio.gather(*(client(number) for number in range(300)))
    assert outcomes.count("answered") > 150
    assert "bad item" in outcomes
    assert "mixed up" not in outcomes
    assert batcher.queued_cost == 0
    async with asyncio.timeout(10):  # a batch goes on whose last client gave up
        while not batcher.is_idle:
            await asyncio.sleep(0.001)
    assert under_way == 0


async def test_a_reply_that_ray_cancels_leaves_nobody_waiting() -> None:
    async def cancelled(_: list[int]) -> list[int]:
        raise asyncio.CancelledError

    batcher = batching(cancelled, BatchSettings(slots=1))
    answers = await asyncio.wait_for(
        asyncio.gather(*(batcher.submit(i) for i in range(3)), return_exceptions=True), timeout=5
    )
    assert [type(answer) for answer in answers] == [UnavailableError] * 3


async def test_a_batch_belongs_to_no_single_request() -> None:
    """Ray keeps a request's id in a context variable and cancels what was called under it."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    seen: list[str] = []

    async def run(items: list[int]) -> list[int]:
        seen.append(request.get())
        await asyncio.sleep(0)
        return items

    batcher = batching(run, BatchSettings(slots=1, max_cost=2))

    async def client(number: int) -> int:
        request.set(f"request {number}")
        answer: int = await batcher.submit(number)
        return answer

    assert await asyncio.gather(*(client(i) for i in range(6))) == list(range(6))
    assert set(seen) == {"none"}
