"""Queues under load in simulated time: no test waits, and none depends on the machine."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve_app.batching import Piece

TURNS = 8
"""Of the event loop, for all that follows from one event: no chain of awaits here is longer."""


async def settle() -> None:
    """Until every task has gone as far as it can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


@dataclass
class Simulation:
    now: float = 0.0
    _events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _tasks: list[asyncio.Task[object]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def clock(self) -> float:
        return self.now

    def at(self, time: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), action))

    def start(self, time: float, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """A task of its own at that time; what it raises is raised by ``run``."""
        self.at(time, lambda: self._tasks.append(asyncio.ensure_future(work())))

    async def sleep(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.at(self.now + seconds, lambda: None if over.done() else over.set_result(None))
        await over

    async def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()
            await settle()
            for task in [task for task in self._tasks if task.done()]:
                self._tasks.remove(task)
                task.result()
        self.now = until


@dataclass
class Server:
    """A stage whose batches take ``fixed_s`` and ``cost_s`` for each unit of cost. ``factor``: how
    much slower it is just now."""

    simulation: Simulation
    cost_s: float
    fixed_s: float = 0.0
    factor: float = 1.0
    busy_s: float = 0.0
    done: int = 0

    async def __call__(self, pieces: Sequence[Piece[int]]) -> Sequence[int]:
        taken = self.factor * (self.fixed_s + self.cost_s * sum(piece.cost for piece in pieces))
        self.busy_s += taken
        await self.simulation.sleep(taken)
        self.done += len(pieces)
        return [piece.item for piece in pieces]


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
