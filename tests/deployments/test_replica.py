from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Sequence

import pytest

from serve_app.deployments.detector import Detector
from serve_app.deployments.extractor import Extractor
from serve_app.deployments.index import Index
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.replica import BatchedWorker, answered
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
