"""Rates turned into the times at which requests are due."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from load_tests.traffic.plan import Arrivals, Phase, Plan, Request


@dataclass(frozen=True, slots=True)
class Due:
    """A request of phase number ``phase``, due ``at_s`` seconds after the plan's start."""

    at_s: float
    phase: int
    request: Request


def due_requests(plan: Plan) -> Iterator[Due]:
    """Every request of the plan's phases with a rate, in the order of their times."""
    choice = Choice(plan.requests, plan.seed)
    start = 0.0
    for number, phase in enumerate(plan.phases):
        if phase.rate is not None:
            for at in times(phase, plan.arrivals, random.Random(f"{plan.seed} {number}")):
                yield Due(start + at, number, choice.next())
        start += phase.seconds


def times(phase: Phase, arrivals: Arrivals, rng: random.Random) -> Iterator[float]:
    """Seconds from the phase's start. ``poisson``: as many independent people make them, in
    clusters and gaps; ``even``: one each 1/rate."""
    assert phase.rate is not None
    at, count = 0.0, 0
    while phase.rate > 0:
        if arrivals == "even":
            at = count / phase.rate
        else:
            at += rng.expovariate(phase.rate)
        if at >= phase.seconds:
            return
        yield at
        count += 1


class Choice:
    """Which request is next: each as often as its share says."""

    def __init__(self, requests: Sequence[Request], seed: int) -> None:
        self._requests = requests
        self._shares = [request.share for request in requests]
        self._rng = random.Random(seed)

    def next(self) -> Request:
        if len(self._requests) == 1:
            return self._requests[0]
        return self._rng.choices(self._requests, self._shares)[0]
