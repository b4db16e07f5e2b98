"""Small pieces pass large ones, and no age leads to starvation: in order, and in a queue under
load."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from functools import partial
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.batching import Batcher
from serve_app.batching.fair_queue import STRETCH, FairQueue, Piece, handicap_s
from serve_app.config import BatchSettings
from serve_app.request_context import RequestContext
from tests.batching.simulation import Server, Simulation, percentile

PACE_S = 0.01
BOUND_S = 0.5


def piece(cost: int, since: float, number: int = 0) -> Piece[int]:
    place = (since + handicap_s(cost * PACE_S, BOUND_S), number)
    return Piece(number, cost, RequestContext(), asyncio.Future(), since, place)


def drained(queue: FairQueue[int]) -> list[Piece[int]]:
    order = []
    while (first := queue.first) is not None:
        order.append(first)
        assert queue.discard(first)
    return order


def test_what_takes_long_is_behind_in_proportion_up_to_the_bound() -> None:
    assert [handicap_s(seconds, 1.0) for seconds in (0, 0.01, 0.1, 0.5, 3)] == [0, 0.02, 0.2, 1, 1]
    assert {handicap_s(seconds, 0.0) for seconds in (0, 0.01, 3)} == {0}


Arrivals = st.lists(st.tuples(st.integers(1, 60), st.floats(0, 2)), min_size=1, max_size=40)


@given(Arrivals)
def test_the_order_is_that_of_arrival_within_the_bound(arrivals: list[tuple[int, float]]) -> None:
    """One passes another only if it is smaller, and came at most ``BOUND_S`` later."""

    async def run() -> None:
        queue: FairQueue[int] = FairQueue()
        for number, (cost, since) in enumerate(sorted(arrivals, key=lambda a: a[1])):
            queue.add(piece(cost, since, number))
        assert len(queue) == len(arrivals)
        assert queue.cost == sum(cost for cost, _ in arrivals)
        order = drained(queue)
        assert sorted(p.item for p in order) == list(range(len(arrivals)))
        assert queue.cost == 0
        for position, earlier in enumerate(order):
            for later in order[position + 1 :]:
                if later.item < earlier.item:  # it was passed
                    assert earlier.cost < later.cost
                    overtaken_s = earlier.since - later.since
                    assert overtaken_s <= min(BOUND_S, STRETCH * later.cost * PACE_S) + 1e-9

    asyncio.run(run())


@given(Arrivals, st.floats(0, 3))
def test_what_is_before_a_place_is_what_would_be_taken_first(
    arrivals: list[tuple[int, float]], place: float
) -> None:
    async def run() -> None:
        queue: FairQueue[int] = FairQueue()
        for number, (cost, since) in enumerate(arrivals):
            queue.add(piece(cost, since, number))
        before = queue.cost_before(place)
        assert before == sum(p.cost for p in drained(queue) if p.place[0] <= place)

    asyncio.run(run())


async def test_pieces_of_one_cost_keep_their_order_also_at_one_time() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in (3, 1, 2, 0):
        queue.add(piece(2, 1.0, number))
    assert [p.item for p in drained(queue)] == [0, 1, 2, 3]


async def test_what_is_not_there_cant_be_taken_out() -> None:
    queue: FairQueue[int] = FairQueue()
    there, never, alike = piece(2, 1.0, 1), piece(2, 1.0, 2), piece(2, 1.0, 1)
    queue.add(there)
    assert not queue.discard(never)
    assert not queue.discard(alike)  # in the same place, but another
    assert (len(queue), queue.cost) == (1, 2)
    assert queue.discard(there)
    assert not queue.discard(there)
    assert (len(queue), queue.cost, queue.first) == (0, 0, None)


# --- under load ---


@dataclass
class Waits:
    """Of small and of large items, each in the order they were begun."""

    small: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)


LARGE = 40


async def waits(overtake_s: float) -> Waits:
    """At a stage that is busy for a bit over half of four minutes, half of it with large items that
    come in threes."""
    simulation, chance, found = Simulation(), random.Random(7), Waits()
    server = Server(simulation, cost_s=PACE_S)
    settings = BatchSettings(max_cost=8, max_queue_cost=100_000, overtake_s=overtake_s)
    batcher: Batcher[int, int] = Batcher(
        server, settings, cost=lambda item: item, clock=simulation.clock
    )

    async def client(cost: int) -> None:
        context = RequestContext()
        await batcher.submit(cost, context)
        (found.large if cost == LARGE else found.small).append(context.spans.seconds["queue"])

    for cost, group, a_second in ((1, 1, 30.0), (LARGE, 3, 0.25)):
        time = chance.expovariate(a_second)
        while time < 240:
            for _ in range(group):
                simulation.start(time, partial(client, cost))
            time += chance.expovariate(a_second)
    await simulation.run(300)
    assert batcher.is_idle
    assert 0.5 * 240 < server.busy_s < 0.7 * 240
    return found


async def test_small_items_wait_less_and_large_ones_hardly_more() -> None:
    as_they_come, fair = await waits(0), await waits(1.0)
    assert len(fair.small) == len(as_they_come.small)
    assert mean(fair.small) < 0.7 * mean(as_they_come.small)
    assert percentile(fair.small, 0.5) <= percentile(as_they_come.small, 0.5)
    # Nobody waits longer than that, plus the bound and what runs just then.
    assert max(fair.large) < max(as_they_come.large) + 1.0 + LARGE * PACE_S
    assert mean(fair.large) < 1.4 * mean(as_they_come.large)


@pytest.mark.parametrize("bound_s", [0.1, 0.5])
async def test_a_flood_of_small_items_passes_a_large_one_for_the_bound_only(bound_s: float) -> None:
    """More small items than the stage can do: without a bound, the large one would never run."""
    simulation = Simulation()
    settings = BatchSettings(max_cost=8, max_queue_cost=1_000_000, overtake_s=bound_s)
    server = Server(simulation, cost_s=PACE_S)
    batcher: Batcher[int, int] = Batcher(
        server, settings, cost=lambda item: item, clock=simulation.clock
    )
    large = RequestContext()
    for number in range(3000):
        simulation.start(number / 200, partial(batcher.submit, 1))
    simulation.start(1.0, partial(batcher.submit, LARGE, large))
    await simulation.run(100)
    assert server.done == 3001
    # A second of double load left a second of work before it; then double load passes it.
    assert 1.0 + bound_s < large.spans.seconds["queue"] < 1.0 + 2 * bound_s + 0.1
