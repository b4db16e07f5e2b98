from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from serve_app.errors import UnavailableError
from serve_app.service import Check, Readiness


class Stage:
    def __init__(self) -> None:
        self.looks = 0
        self.hangs = False
        self.down = False

    async def look(self) -> None:
        self.looks += 1
        await asyncio.sleep(60 if self.hangs else 0.01)
        if self.down:
            raise UnavailableError("down")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(**stages: Stage) -> tuple[Readiness, Clock]:
    clock = Clock()
    checks = {name: Check(stage.look, f"see to {name}") for name, stage in stages.items()}
    return Readiness(checks, timeout_s=0.2, keep_s=1, clock=clock), clock


async def test_one_look_serves_all_that_ask_at_once_and_soon_after() -> None:
    stage = Stage()
    readiness, clock = watched(index=stage)
    assert await asyncio.gather(*(readiness.stages() for _ in range(50))) == [
        {"index": "ready"}
    ] * 50  # fmt: skip
    await readiness.stages()
    assert stage.looks == 1
    clock.now = 1.0
    stage.down = True
    with pytest.raises(UnavailableError):
        await readiness.stages()
    assert stage.looks == 2


async def test_all_that_are_not_ready_are_named() -> None:
    down, hung = Stage(), Stage()
    down.down = hung.hangs = True
    readiness, _ = watched(detector=Stage(), extractor=hung, store=down)
    with pytest.raises(UnavailableError) as told:
        await asyncio.wait_for(readiness.stages(), 5)
    assert str(told.value) == (
        "extractor is not ready: see to extractor; store is not ready: see to store"
    )


async def test_a_look_is_not_part_of_the_first_ones_request() -> None:
    """Ray cancels what a request has called, and finds it by a context variable."""
    asked_in: ContextVar[str] = ContextVar("asked_in")
    seen: list[str] = []

    async def look() -> None:
        seen.append(asked_in.get("no request"))

    readiness = Readiness({"index": Check(look, "see to it")})
    asked_in.set("the first one's")
    await readiness.stages()
    assert seen == ["no request"]


async def test_one_that_goes_away_leaves_the_look_to_the_others() -> None:
    readiness, _ = watched(index=Stage())
    first = asyncio.create_task(readiness.stages())
    await asyncio.sleep(0)
    second = asyncio.create_task(readiness.stages())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"index": "ready"}
