"""Against what is known of queues: Little's law, Pollaczek and Khinchine, the slowest stage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.planning.costs import StageCost
from serve_app.planning.waiting import Latency, Machine, Station, latency

MILLISECONDS = st.floats(0.1, 20)
STATIONS = st.lists(
    st.builds(
        Station,
        st.builds(StageCost, MILLISECONDS, MILLISECONDS, MILLISECONDS),
        st.integers(1, 4),
        st.integers(1, 8),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


def plain(milliseconds: float, servers: int = 1) -> Station:
    return Station(StageCost(0, milliseconds, 0), servers)


def test_one_client_waits_for_nobody() -> None:
    found = latency([plain(3), plain(7)], 1, Machine(2), clients=1, requests=500)
    assert found == Latency(pytest.approx(100), *[pytest.approx(10)] * 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("spread", [0, 0.5])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_one_queue_waits_as_long_as_pollaczek_and_khinchine_say(
    share: float, spread: float
) -> None:
    machine = Machine(1, spread=spread)
    found = latency([plain(10)], 1, machine, rate=100 * share, requests=60_000)
    waits_ms = 10 * share * (1 + spread**2) / (2 * (1 - share))
    assert found.mean_ms == pytest.approx(10 + waits_ms, rel=0.07)
    assert found.rate == pytest.approx(100 * share, rel=0.02)


def test_many_clients_get_what_the_slowest_stage_can_do() -> None:
    found = latency(
        [plain(2), plain(8, servers=2), plain(3)], 1, Machine(16), clients=50, requests=3000
    )
    assert found.rate == pytest.approx(250, rel=0.02)


def test_batches_grow_with_the_load_and_carry_more() -> None:
    gathering = Station(StageCost(8, 1, 1), 1, 8)
    alone = latency([gathering], 1, Machine(1), clients=1, requests=500)
    many = latency([gathering], 1, Machine(1), clients=64, requests=3000)
    assert alone.rate == pytest.approx(1e3 / 10)
    assert many.rate == pytest.approx(8e3 / 24, rel=0.02)


def test_fewer_processors_than_replicas_are_shared() -> None:
    stations = [plain(5, servers=4), plain(5, servers=4)]
    assert latency(stations, 1, Machine(2), clients=32, requests=3000).rate == pytest.approx(
        200, rel=0.02
    )
    assert latency(stations, 1, Machine(8), clients=32, requests=3000).rate == pytest.approx(
        800, rel=0.02
    )


def test_others_slow_the_work_on_the_last_processor() -> None:
    def rate(clients: int) -> float:
        machine = Machine(2, others=0.5)
        return latency([plain(5, servers=4)], 1, machine, clients=clients, requests=3000).rate

    assert rate(1) == pytest.approx(200)  # the other processor is theirs
    assert rate(8) == pytest.approx(300, rel=0.1)  # of 400


def test_what_is_not_niced_comes_first() -> None:
    def of(first: bool) -> float:
        stations = [plain(20, servers=4), Station(StageCost(0, 1, 0), 1, 1, first)]
        return latency(stations, 1, Machine(1), rate=40, requests=4000).mean_ms

    assert of(first=True) < of(first=False)


@settings(max_examples=40, deadline=None)
@given(STATIONS, st.integers(1, 8), st.integers(1, 40), st.integers(1, 8))
def test_littles_law_holds_and_nothing_is_faster_than_its_work(
    stations: list[Station], processors: int, clients: int, faces: int
) -> None:
    found = latency(stations, faces, Machine(processors), clients=clients, requests=2000)
    alone_ms = sum(one.cost.run_ms(1, faces) for one in stations)
    assert found.rate * found.mean_ms / 1e3 == pytest.approx(clients, rel=0.15)
    assert found.p99_ms >= found.p50_ms >= alone_ms * 0.999
    most = min(
        one.servers * one.max_images * 1e3 / one.cost.run_ms(one.max_images, faces)
        for one in stations
    )
    assert found.rate <= most * 1.1


def test_the_same_question_has_the_same_answer() -> None:
    asked = [latency([plain(5)], 1, Machine(1), rate=100, requests=1000) for _ in range(2)]
    assert asked[0] == asked[1]
