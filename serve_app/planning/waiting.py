"""How long requests take: a simulation of the stages as queues.

Each stage is one queue before its replicas. A replica that is free takes what waits, at most a full
batch, and is busy for ``StageCost.run_ms`` of it: batches are gathered while others run and never
waited for, as ``batching.Batcher`` does. No textbook formula covers that over several stages and
servers, so it is played through with random arrivals, always the same ones. Work needs a processor
besides its replica: where there are fewer processors than replicas they take turns of a few
milliseconds, as the system's scheduler has it, and what others use of them slows the work on the
last one.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from serve_app.planning.costs import StageCost

TURN_MS = 4.0
WARM_SHARE = 0.1
"""Of the requests, the first: they find empty queues."""


@dataclass(frozen=True, slots=True)
class Machine:
    """``processors``, of which ``others`` use a share; ``spread``: of the times that work takes,
    their standard deviation to their mean."""

    processors: int
    others: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Station:
    """A stage on the way of a request. ``first``: it gets processors before the others, as what
    answers is not niced (serve_app/priority.py)."""

    cost: StageCost
    servers: int
    max_images: int = 1
    first: bool = False


@dataclass(frozen=True, slots=True)
class Latency:
    """``rate``: answers a second."""

    rate: float
    mean_ms: float
    p50_ms: float
    p99_ms: float


def latency(
    stations: Sequence[Station],
    faces: float,
    machine: Machine,
    *,
    rate: float | None = None,
    clients: int = 0,
    requests: int = 10_000,
    seed: int = 1,
) -> Latency:
    """Of Poisson arrivals at ``rate`` a second, or, without it, of so many ``clients`` that wait
    for each answer."""
    return _Play(stations, faces, machine, rate, clients, requests, seed).latency()


@dataclass(slots=True)
class _Queue:
    station: Station
    idle: int
    waiting: deque[int] = field(default_factory=deque)


@dataclass(slots=True)
class _Work:
    """A batch that a replica runs. ``at``: the stage's position; ``left_ms``: still to do."""

    at: int
    requests: list[int]
    left_ms: float


class _Play:
    def __init__(
        self,
        stations: Sequence[Station],
        faces: float,
        machine: Machine,
        rate: float | None,
        clients: int,
        requests: int,
        seed: int,
    ) -> None:
        self._queues = [_Queue(one, one.servers) for one in stations]
        self._faces, self._free, self._spread = faces, machine.processors, machine.spread
        self._slowed = machine.processors / (machine.processors - machine.others)
        self._turn_ms = (
            TURN_MS if machine.processors < sum(one.servers for one in stations) else 1e12
        )
        self._mean_ms = None if rate is None else 1e3 / rate
        self._chance = random.Random(seed)  # nosec B311 # a simulation's chance
        self._events: list[tuple[float, int, _Work | None]] = []
        self._ready: tuple[deque[_Work], deque[_Work]] = (deque(), deque())
        self._number, self._now, self._left = 0, 0.0, requests
        self._began: list[float] = []
        self._took: list[tuple[float, float]] = []
        for _ in range(clients if rate is None else 1):
            self._at(0.0, None)

    def latency(self) -> Latency:
        while self._events:
            self._now, _, work = heapq.heappop(self._events)
            if work is None:
                self._arrive()
            else:
                self._free += 1
                self._went_on(work)
            self._dispatch()
        warm = self._took[int(WARM_SHARE * len(self._took)) :]
        took = sorted(ms for _, ms in warm)
        seconds = (warm[-1][0] - warm[0][0]) / 1e3
        p50, p99 = (took[int(share * len(took))] for share in (0.5, 0.99))
        return Latency((len(warm) - 1) / seconds, sum(took) / len(took), p50, p99)

    def _at(self, when_ms: float, work: _Work | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (when_ms, self._number, work))

    def _arrive(self) -> None:
        if self._left == 0:
            return
        self._left -= 1
        self._began.append(self._now)
        self._enter(0, [len(self._began) - 1])
        if self._mean_ms is not None:
            self._at(self._now + self._chance.expovariate(1.0) * self._mean_ms, None)

    def _enter(self, at: int, requests: Sequence[int]) -> None:
        """What comes together waits together: a batch's answers are one reply."""
        if at < len(self._queues):
            self._queues[at].waiting.extend(requests)
            self._begin(at)
            return
        for request in requests:
            self._took.append((self._now, self._now - self._began[request]))
            if self._mean_ms is None:
                self._at(self._now, None)

    def _begin(self, at: int) -> None:
        queue = self._queues[at]
        while queue.idle and queue.waiting:
            queue.idle -= 1
            count = min(len(queue.waiting), queue.station.max_images)
            batch = [queue.waiting.popleft() for _ in range(count)]
            run_ms = queue.station.cost.run_ms(count, self._faces)
            if self._spread:
                run_ms *= self._chance.gammavariate(self._spread**-2, self._spread**2)
            work = _Work(at, batch, run_ms)
            self._ready[not queue.station.first].append(work)

    def _dispatch(self) -> None:
        while self._free and (self._ready[0] or self._ready[1]):
            work = (self._ready[0] or self._ready[1]).popleft()
            turn_ms = min(self._turn_ms, work.left_ms)
            work.left_ms -= turn_ms
            self._free -= 1
            slowed = 1.0 if self._free else self._slowed
            self._at(self._now + turn_ms * slowed, work)

    def _went_on(self, work: _Work) -> None:
        if work.left_ms > 1e-9:
            self._ready[not self._queues[work.at].station.first].append(work)
            return
        self._queues[work.at].idle += 1
        self._begin(work.at)
        self._enter(work.at + 1, work.requests)
