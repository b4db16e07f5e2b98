from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from serve_app.config import BatchSettings
from serve_app.deployments.detector import Detector
from serve_app.deployments.extractor import Extractor
from serve_app.deployments.index import Index
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.replica import BatchedWorker, LanedWorker, answered
from serve_app.errors import ConfigError, FaceServeError, InvalidImageError


def worker(seen: list[tuple[str, list[int]]]) -> BatchedWorker[int, int]:
    def work(items: Sequence[int]) -> list[int | FaceServeError]:
        seen.append((threading.current_thread().name, list(items)))
        return [InvalidImageError("odd") if item % 2 else item * 10 for item in items]

    return BatchedWorker(work, cost=lambda _: 1)


async def test_answers_in_order_and_errors_as_values() -> None:
    seen: list[tuple[str, list[int]]] = []
    answers = await worker(seen).answer([2, 3, 4])
    assert answers[0] == 20
    assert answers[2] == 40
    assert isinstance(answers[1], InvalidImageError)


async def test_works_off_the_event_loop_and_gathers_across_calls() -> None:
    seen: list[tuple[str, list[int]]] = []
    stage = worker(seen)
    await asyncio.gather(*(stage.answer([i, i + 1]) for i in range(0, 8, 2)))
    assert sorted(item for _, items in seen for item in items) == list(range(8))
    assert len(seen) < 8, "calls of several requests share a run"
    assert {name for name, _ in seen} == {"stage_0"}


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
    waiting = [asyncio.create_task(stage.answer([i * 2])) for i in range(20)]
    await asyncio.sleep(0)
    stage.configure({"slots": 4, "max_cost": 3})
    answers = await asyncio.wait_for(asyncio.gather(*waiting), timeout=10)
    assert [answer for (answer,) in answers] == [i * 20 for i in range(20)]


async def test_an_answer_may_come_later_without_holding_up_others() -> None:
    late: Future[int | FaceServeError] = Future()
    failing: Future[int | FaceServeError] = Future()

    def work(items: Sequence[int]) -> list[int | FaceServeError | Future[int | FaceServeError]]:
        return [late if item == 0 else failing if item == 1 else item for item in items]

    stage: BatchedWorker[int, int] = BatchedWorker(work, cost=lambda _: 1)
    waiting = asyncio.create_task(stage.answer([0, 1]))
    assert await asyncio.wait_for(stage.answer([2, 3]), timeout=5) == [2, 3]
    assert not waiting.done()
    failing.set_result(InvalidImageError("late"))
    late.set_result(7)
    first, second = await asyncio.wait_for(waiting, timeout=5)
    assert first == 7
    assert isinstance(second, InvalidImageError)


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
