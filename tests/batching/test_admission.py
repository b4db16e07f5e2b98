"""Who is let in: by numbers, and in a flood of five times what two stages can do."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from serve_app.batching import Admission, Batcher, Forecast
from serve_app.batching.admission import OVERLOAD_S, PATIENCE
from serve_app.config import AdmissionSettings, BatchSettings
from serve_app.errors import OverloadedError
from serve_app.request_context import RequestContext
from tests.batching.simulation import Server, Simulation, percentile

SETTINGS = AdmissionSettings(max_wait_s=0.6, overload_wait_s=0.2)


@dataclass
class Stage:
    """Forecasts what the test says; ``asked``: for which costs."""

    told: Forecast = field(default_factory=lambda: Forecast(0.0, 0.01, is_backlog=True))
    asked: list[int | None] = field(default_factory=list)

    def forecast(self, cost: int | None = None) -> Forecast:
        self.asked.append(cost)
        return self.told


@dataclass
class Door:
    """One admission over two stages in simulated time."""

    now: float = 100.0
    first: Stage = field(default_factory=Stage)
    second: Stage = field(default_factory=Stage)

    def __post_init__(self) -> None:
        self.admission = Admission(lambda: self.now)
        self.admission.configure(SETTINGS)
        self.admission.watch(self.first, lambda size: 1 + size // 100)
        self.admission.watch(self.second)

    def lets_in(self, first_s: float, second_s: float = 0.0) -> bool:
        self.first.told = replace(self.first.told, wait_s=first_s)
        self.second.told = replace(self.second.told, wait_s=second_s)
        try:
            self.admission.check(0)
        except OverloadedError:
            return False
        return True


def test_the_waits_of_all_stages_count_together() -> None:
    door = Door()
    assert door.lets_in(0.3, 0.29)
    assert not door.lets_in(0.3, 0.31)
    assert door.admission.expected_wait_s() == pytest.approx(0.61)


def test_while_requests_are_turned_away_the_bound_is_lower() -> None:
    door = Door()
    assert door.lets_in(0.5)
    assert not door.lets_in(0.7)
    assert not door.lets_in(0.5)
    assert door.lets_in(0.19)
    door.now += 0.9 * OVERLOAD_S
    assert not door.lets_in(0.3)  # and that is turning away again
    door.now += 0.9 * OVERLOAD_S
    assert not door.lets_in(0.3)
    door.now += 1.1 * OVERLOAD_S
    assert door.lets_in(0.5)


def test_what_fills_the_next_batches_is_no_backlog_however_slow_they_are() -> None:
    door = Door()
    for stage in (door.first, door.second):
        stage.told = Forecast(60.0, 1.0, is_backlog=False)
    assert door.lets_in(60, 60)
    door.second.told = Forecast(60.0, 1.0, is_backlog=True)
    assert not door.lets_in(60, 60)


def test_a_large_image_is_let_wait_in_proportion_but_not_in_overload() -> None:
    door = Door()
    door.first.told = Forecast(0.0, 0.5, is_backlog=True)
    assert door.lets_in(PATIENCE * 0.5 - 0.01)
    assert not door.lets_in(PATIENCE * 0.5 + 0.01)
    assert not door.lets_in(0.3)


def test_a_stage_is_asked_for_the_cost_of_the_image_if_that_can_be_told() -> None:
    door = Door()
    door.admission.check(250)
    assert (door.first.asked, door.second.asked) == ([3], [None])


def test_a_request_is_asked_for_once() -> None:
    door = Door()
    late, early = RequestContext(), RequestContext()
    door.admission.let_in(early, 0)
    assert not door.lets_in(9)
    door.admission.let_in(early, 0)
    with pytest.raises(OverloadedError):
        door.admission.let_in(late, 0)
    assert not late.admitted


def test_it_is_told_when_to_come_back() -> None:
    door = Door()
    door.first.told = Forecast(2.4, 0.01, is_backlog=True)
    with pytest.raises(OverloadedError, match="try again in 3 s") as refusal:
        door.admission.check(0)
    assert refusal.value.retry_after_s == pytest.approx(2.4)


# --- a flood ---

DETECT_S, EXTRACT_S = 0.008, 0.014
CAPACITY = min(1 / DETECT_S, 2 / EXTRACT_S)
"""Images of one face a second: one detector, two extractors."""


class Service:
    """Two stages as the ingress sees them, behind one admission."""

    def __init__(self) -> None:
        self.simulation = Simulation()
        clock = self.simulation.clock
        self.admission = Admission(clock)
        self.detector = Server(self.simulation, DETECT_S, fixed_s=0.002)
        self.extractor = Server(self.simulation, EXTRACT_S, fixed_s=0.002)
        self._detect: Batcher[int, int] = Batcher(
            self.detector,
            BatchSettings(slots=1, max_cost=8),
            cost=lambda item: item,
            clock=clock,
        )
        self._extract: Batcher[int, int] = Batcher(
            self.extractor, BatchSettings(slots=2, max_cost=8), clock=clock
        )
        self.admission.watch(self._detect, lambda size: size)
        self.admission.watch(self._extract)
        self.accepted: list[tuple[float, float]] = []
        self.refused: list[float] = []
        self.accepted_costs: Counter[int] = Counter()
        self.refused_costs: Counter[int] = Counter()
        self._chance = random.Random(3)

    async def request(self, cost: int = 1) -> bool:
        """Of one face, in an image of that cost."""
        started, request = self.simulation.now, RequestContext()
        try:
            self.admission.let_in(request, cost)
            await self._detect.submit(cost, request)
            await self._extract.submit(1, request)
        except OverloadedError:
            self.refused.append(started)
            self.refused_costs[cost] += 1
            return False
        self.accepted.append((started, self.simulation.now - started))
        self.accepted_costs[cost] += 1
        return True

    async def wait_and_repeat(self, until: float) -> None:
        """A client that sends its next request when the last one was answered."""
        while self.simulation.now < until:
            if not await self.request():
                await self.simulation.sleep(1)

    def arrive(self, a_second: float, start: float, end: float, cost: int = 1) -> None:
        time = start + self._chance.expovariate(a_second)
        while time < end:
            self.simulation.start(time, partial(self.request, cost))
            time += self._chance.expovariate(a_second)

    def latencies(self, start: float, end: float) -> list[float]:
        return [latency for begun, latency in self.accepted if start <= begun < end]


@pytest.fixture
def service() -> Service:
    return Service()


async def test_a_flood_of_five_times_the_capacity_leaves_latency_and_throughput_as_they_are(
    service: Service,
) -> None:
    service.arrive(0.8 * CAPACITY, 0, 20)
    service.arrive(5 * CAPACITY, 20, 40)
    service.arrive(0.8 * CAPACITY, 40, 60)
    await service.simulation.run(100)
    usual, flood, after = (service.latencies(start, start + 20) for start in (0, 20, 40))
    assert len(flood) > 0.9 * 20 * CAPACITY
    assert percentile(flood, 0.99) < 3 * percentile(usual, 0.99)
    assert len([time for time in service.refused if time < 20]) < 0.01 * len(usual)
    assert not [time for time in service.refused if time > 42]
    assert percentile(after, 0.99) < 3 * percentile(usual, 0.99)


async def test_a_stage_that_becomes_slow_is_noticed(service: Service) -> None:
    """The bound is one of time: it holds also at a quarter of the speed, with a quarter of the
    requests."""
    service.arrive(2 * CAPACITY, 0, 40)
    service.simulation.at(20, lambda: setattr(service.extractor, "factor", 4.0))
    await service.simulation.run(100)
    quick, slow = service.latencies(5, 19), service.latencies(25, 40)
    assert len(slow) > 0.8 * 15 * CAPACITY / 4
    # Batches take four times as long, also those that wait for a slot; what is before does not.
    assert percentile(slow, 0.99) < 4 * percentile(quick, 0.99) + 0.2


async def test_a_stage_that_hangs_is_noticed_and_forgiven(service: Service) -> None:
    service.arrive(0.5 * CAPACITY, 0, 30)
    service.simulation.at(10, lambda: setattr(service.detector, "factor", 1000.0))
    service.simulation.at(10.2, lambda: setattr(service.detector, "factor", 1.0))
    await service.simulation.run(100)
    stuck = [time for time in service.refused if 10 < time < 18]
    assert len(stuck) > 0.5 * 4 * CAPACITY
    assert not [time for time in service.refused if time > 25]


async def test_large_images_are_turned_away_before_small_ones(service: Service) -> None:
    """Small ones half fill the service, large ones alone would fill it twice over."""
    service.arrive(0.5 * CAPACITY, 0, 40)
    service.arrive(2 / (40 * DETECT_S), 0, 40, cost=40)
    await service.simulation.run(100)
    asked = service.accepted_costs + service.refused_costs
    shares = {cost: service.refused_costs[cost] / asked[cost] for cost in (1, 40)}
    assert shares[1] < 0.2 < 0.6 < shares[40] < 1
    assert service.accepted_costs[40] > 20  # and not all of them


@pytest.mark.parametrize("clients", [1, 8, 32, 64])
async def test_clients_that_wait_for_their_answers_are_all_served(
    service: Service, clients: int
) -> None:
    for _ in range(clients):
        service.simulation.start(0, partial(service.wait_and_repeat, 10))
    await service.simulation.run(20)
    assert not service.refused
    assert len(service.accepted) > min(0.9 * 10 * CAPACITY, clients * 10 / 0.03)


async def test_a_burst_is_let_in_on_an_idle_service(service: Service) -> None:
    for _ in range(40):
        service.simulation.start(1, service.request)
    await service.simulation.run(10)
    assert len(service.accepted) == 40
