from __future__ import annotations

import itertools
import random

import pytest

from load_tests.traffic.arrivals import Choice, due_requests, times
from load_tests.traffic.plan import Phase, Plan, Request

ONE, OTHER = Request("one", "/one", share=3), Request("other", "/other", share=1)


def test_even_arrivals_are_evenly_spaced() -> None:
    found = list(times(Phase("p", 2, rate=4), "even", random.Random(1)))
    assert found == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75]


def test_poisson_arrivals_have_the_rate_and_gaps_of_their_own() -> None:
    found = list(times(Phase("p", 500, rate=20), "poisson", random.Random(1)))
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(found) == pytest.approx(10_000, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)  # exponential gaps: no other has that
    assert found[-1] < 500


def test_phases_follow_each_other_and_clients_have_no_times() -> None:
    plan = Plan(
        (Phase("calm", 1, rate=2), Phase("clients", 3, clients=5), Phase("busy", 1, rate=4)),
        (ONE,),
        arrivals="even",
    )
    assert [(due.at_s, due.phase) for due in due_requests(plan)] == [
        (0, 0), (0.5, 0), (4, 2), (4.25, 2), (4.5, 2), (4.75, 2),
    ]  # fmt: skip


def test_a_plan_is_the_same_each_time_and_another_with_another_seed() -> None:
    def due(seed: int) -> list[tuple[float, str]]:
        plan = Plan((Phase("p", 5, rate=20),), (ONE, OTHER), seed=seed)
        return [(one.at_s, one.request.name) for one in due_requests(plan)]

    assert due(1) == due(1)
    assert due(1) != due(2)


def test_requests_are_chosen_by_their_shares() -> None:
    choice = Choice((ONE, OTHER), seed=1)
    names = [choice.next().name for _ in range(4000)]
    assert names.count("one") == pytest.approx(3000, rel=0.05)


@pytest.mark.parametrize("given", [{}, {"rate": 1.0, "clients": 1}])
def test_a_phase_has_a_rate_or_clients(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="either a rate or clients"):
        Phase("p", 1, **given)  # type: ignore[arg-type]
