"""How the work of a job is cut. What Ray makes of it is for the integration tests."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.jobs.flow import PART, Parts


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (Parts(0, 10, 4), [(0, 4), (4, 8), (8, 10)]),
        (Parts(3, 11, 4), [(3, 7), (7, 11)]),
        (Parts(7, 8, 4), [(7, 8)]),
        (Parts(5, 5, 4), []),
        (Parts(0, PART + 1), [(0, PART), (PART, PART + 1)]),
    ],
)
def test_parts(parts: Parts, expected: list[tuple[int, int]]) -> None:
    assert [parts(number) for number in range(len(parts))] == expected


@given(st.integers(0, 10_000), st.integers(0, 5_000), st.integers(1, 700))
def test_every_position_is_in_one_part(start: int, count: int, size: int) -> None:
    parts = Parts(start, start + count, size)
    positions = [p for number in range(len(parts)) for p in range(*parts(number))]
    assert positions == list(range(start, start + count))


def test_parts_travel_to_the_actors() -> None:
    parts = pickle.loads(pickle.dumps(Parts(3, 11, 4)))
    assert parts(1) == (7, 11)
