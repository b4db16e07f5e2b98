from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from serve_app.batching import BatchEvent, Dropped
from serve_app.config import BatchSettings
from serve_app.deployments.calls import StageCall
from serve_app.deployments.detector import Detector
from serve_app.deployments.extractor import Extractor
from serve_app.deployments.index import Index
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.replica import BatchedWorker, LanedWorker, answered, timed
from serve_app.errors import (
    ConfigError,
    DeadlineExceededError,
    FaceServeError,
    InvalidImageError,
)
from serve_app.request_context import Spans

numbers = itertools.count()


def call(*items: int, within_s: float = 60) -> StageCall[int]:
    return StageCall(("caller", next(numbers)), items, [within_s] * len(items))


def worker(seen: list[tuple[str, list[int]]]) -> BatchedWorker[int, int]:
    def work(items: Sequence[int]) -> list[int | FaceServeError]:
        seen.append((threading.current_thread().name, list(items)))
        return [InvalidImageError("odd") if item % 2 else item * 10 for item in items]

    return BatchedWorker(timed("work", work), cost=lambda _: 1)


async def test_answers_in_order_and_errors_as_values() -> None:
    seen: list[tuple[str, list[int]]] = []
    answers = (await worker(seen).answer(call(2, 3, 4))).answers
    assert answers[0] == 20
    assert answers[2] == 40
    assert isinstance(answers[1], InvalidImageError)


async def test_works_off_the_event_loop_and_gathers_across_calls() -> None:
    seen: list[tuple[str, list[int]]] = []
    stage = worker(seen)
    await asyncio.gather(*(stage.answer(call(i, i + 1)) for i in range(0, 8, 2)))
    assert sorted(item for _, items in seen for item in items) == list(range(8))
    assert len(seen) < 8, "calls of several requests share a run"
    assert {name for name, _ in seen} == {"stage_0"}


async def test_the_items_of_one_call_go_together_on_an_idle_replica() -> None:
    seen: list[tuple[str, list[int]]] = []
    stage = worker(seen)
    stage.configure({"max_cost": 8})
    await stage.answer(call(2, 4, 6, 8))
    assert [items for _, items in seen] == [[2, 4, 6, 8]]


async def test_settings_are_checked() -> None:
    stage = worker([])
    stage.configure({"max_cost": 2})
    with pytest.raises(ConfigError, match="did you mean max_cost"):
        stage.configure({"max_costs": 2})


async def test_what_nobody_foresaw_tells_nothing() -> None:
    async def fails() -> int:
        raise ValueError("label of somebody, /a/path")

    answer = await answered(fails())
    assert isinstance(answer, FaceServeError)
    assert str(answer) == "internal error"


@pytest.mark.parametrize("host", [Ingress, Detector, Extractor, Index])
def test_settings_change_on_the_event_loop(host: type) -> None:
    """Ray runs a ``reconfigure`` that is not async in a thread, where a batcher loses requests."""
    assert inspect.iscoroutinefunction(host.reconfigure)  # type: ignore[attr-defined]


async def test_more_slots_under_load_lose_nothing() -> None:
    seen: list[tuple[str, list[int]]] = []
    stage = worker(seen)
    waiting = [asyncio.create_task(stage.answer(call(i * 2))) for i in range(20)]
    await asyncio.sleep(0)
    stage.configure({"slots": 4, "max_cost": 3})
    replies = await asyncio.wait_for(asyncio.gather(*waiting), timeout=10)
    assert [answer for reply in replies for answer in reply.answers] == [i * 20 for i in range(20)]


async def test_an_answer_may_come_later_without_holding_up_others() -> None:
    late: Future[int | FaceServeError] = Future()
    failing: Future[int | FaceServeError] = Future()

    def work(items: Sequence[int]) -> list[int | FaceServeError | Future[int | FaceServeError]]:
        return [late if item == 0 else failing if item == 1 else item for item in items]

    stage: BatchedWorker[int, int] = BatchedWorker(timed("work", work), cost=lambda _: 1)
    waiting = asyncio.create_task(stage.answer(call(0, 1)))
    assert (await asyncio.wait_for(stage.answer(call(2, 3)), timeout=5)).answers == [2, 3]
    assert not waiting.done()
    failing.set_result(InvalidImageError("late"))
    late.set_result(7)
    first, second = (await asyncio.wait_for(waiting, timeout=5)).answers
    assert first == 7
    assert isinstance(second, InvalidImageError)


class Held:
    """Work that begins when the test lets it: ``begun`` tells what has, in order."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self._started, self._go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, items: Sequence[int], spans: Sequence[Spans]) -> list[int]:
        self.begun += items
        self._started.release()
        assert self._go.acquire(timeout=30)
        return [item * 10 for item in items]

    async def started(self) -> None:
        assert await asyncio.to_thread(self._started.acquire, timeout=30)

    def go_on(self, times: int = 1) -> None:
        self._go.release(times)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("singly", [False, True])
async def test_what_was_sent_but_not_begun_is_dropped_when_its_caller_went_away(
    singly: bool,
) -> None:
    work = Held()
    stage: BatchedWorker[int, int] = BatchedWorker(work, cost=lambda _: 1, singly=singly)
    first, second = call(1), call(2, 3, 4)
    running = asyncio.create_task(stage.answer(first))
    await work.started()
    waiting = asyncio.create_task(stage.answer(second))
    await settle()
    stage.forget([(second.id, 1), (("somebody", 7), 0), (first.id, 0)])
    await settle()
    work.go_on(9)
    answers = (await asyncio.wait_for(waiting, 30)).answers
    assert [answers[0], answers[2]] == [20, 40]
    assert isinstance(answers[1], DeadlineExceededError)
    assert work.begun == [1, 2, 4]
    await asyncio.wait_for(running, 30)  # what is begun goes on


async def test_one_by_one_it_is_dropped_also_while_its_batch_runs() -> None:
    work = Held()
    events: list[BatchEvent] = []
    stage: BatchedWorker[int, int] = BatchedWorker(
        work, cost=lambda _: 1, singly=True, observe=events.append
    )
    stage.configure({"max_cost": 8})
    first, second = call(0), call(1, 2, 3)
    running = [asyncio.create_task(stage.answer(one)) for one in (first, second)]
    await work.started()
    work.go_on()
    await work.started()  # 1, of the batch of three
    stage.forget([(second.id, 1)])
    await settle()
    work.go_on(9)
    await asyncio.wait_for(asyncio.gather(*running), 30)
    assert work.begun == [0, 1, 3]
    assert [event for event in events if isinstance(event, Dropped)] == [Dropped("gone")]


async def test_a_call_that_is_cancelled_is_dropped_whole() -> None:
    work = Held()
    stage: BatchedWorker[int, int] = BatchedWorker(work, cost=lambda _: 1)
    running = asyncio.create_task(stage.answer(call(1)))
    await work.started()
    waiting = asyncio.create_task(stage.answer(call(2, 3)))
    await settle()
    waiting.cancel()
    await settle()
    assert waiting.cancelled()
    work.go_on(9)
    await asyncio.wait_for(running, 30)
    assert (await asyncio.wait_for(stage.answer(call(4)), 30)).answers == [40]
    assert work.begun == [1, 4]


async def test_what_is_past_its_deadline_is_answered_and_not_begun() -> None:
    work = Held()
    stage: BatchedWorker[int, int] = BatchedWorker(work, cost=lambda _: 1)
    running = asyncio.create_task(stage.answer(call(1)))
    await work.started()
    late = asyncio.create_task(stage.answer(call(2, within_s=0.01)))
    intime = asyncio.create_task(stage.answer(call(3)))
    await asyncio.sleep(0.02)
    work.go_on(9)
    (answer,) = (await asyncio.wait_for(late, 30)).answers
    assert isinstance(answer, DeadlineExceededError)
    assert (await asyncio.wait_for(intime, 30)).answers == [30]
    assert work.begun == [1, 3]
    await running


async def test_the_time_of_each_item_is_told_by_stage() -> None:
    def work(items: Sequence[int], spans: Sequence[Spans]) -> list[int]:
        for item, one in zip(items, spans, strict=True):
            one.add("detect", item)
        return list(items)

    stage: BatchedWorker[int, int] = BatchedWorker(work, cost=lambda _: 1, singly=True)
    reply = await asyncio.wait_for(stage.answer(call(3, 5)), 30)
    assert [seconds["detect"] for seconds in reply.seconds] == [3, 5]
    assert all(seconds["queue"] >= 0 for seconds in reply.seconds)


def test_a_batchs_time_is_that_of_each_item_in_it() -> None:
    spans = [Spans(), Spans({"extract": 1.0})]

    def work(items: Sequence[int]) -> list[int]:
        return [item * 2 for item in items]

    assert timed("extract", work)([1, 2], spans) == [2, 4]
    assert 0 < spans[0].seconds["extract"] < 1.0 < spans[1].seconds["extract"]


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no nice value of its own")
async def test_who_computes_is_nicer_than_who_answers() -> None:
    def work(items: Sequence[int]) -> list[int]:
        return [os.getpriority(os.PRIO_PROCESS, 0) for _ in items]

    stage: BatchedWorker[int, int] = BatchedWorker(timed("work", work), cost=lambda _: 1)
    (nice,) = (await stage.answer(call(0))).answers
    here = os.getpriority(os.PRIO_PROCESS, 0)
    assert isinstance(nice, int)
    assert nice > here or here == 19


async def test_lanes_gather_and_do_not_wait_for_each_other() -> None:
    slow = threading.Event()
    runs: list[list[str]] = []

    def work(items: Sequence[str]) -> list[str]:
        if items[0].startswith("slow"):
            assert slow.wait(10)
        runs.append(list(items))
        return [item.upper() for item in items]

    settings = BatchSettings(slots=1, max_cost=100, max_queue_cost=1000)
    lanes: LanedWorker[str, str] = LanedWorker(
        work, settings, lane=lambda item: item[:4], cost=lambda _: 1
    )
    waiting = [asyncio.create_task(lanes.submit(f"slow{number}")) for number in range(5)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(lanes.submit("fast"), timeout=5) == "FAST"
    slow.set()
    assert await asyncio.gather(*waiting) == [f"SLOW{number}" for number in range(5)]
    assert runs == [["fast"], ["slow0"], ["slow1", "slow2", "slow3", "slow4"]]
    assert lanes._lanes == {}
