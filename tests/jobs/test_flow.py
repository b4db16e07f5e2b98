"""How the work of a job is cut. What Ray makes of it is for the integration tests."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.data.exceptions import omit_traceback_stdout
from ray.exceptions import RayTaskError, UserCodeException

from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.jobs.faces import Columns
from serve_app.jobs.flow import PART, Parts, told_elsewhere, told_plainly


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


def of_an_actor(error: Exception) -> Exception:
    """As the driver gets it: Ray's copy, of the same type, that shows where it was raised."""
    trace = f'Traceback (most recent call last):\n  File "/srv/secret.py", line 1\n{error!r}'
    dual: Exception = RayTaskError(
        "MapWorker.submit", trace, error, "ray::MapWorker", 77, "10.1.2.3"
    ).as_instanceof_cause()
    return dual


def failing(error: Exception) -> Iterator[Columns]:
    yield {"position": np.arange(2)}
    raise error


@pytest.mark.parametrize(
    "error", [InvalidRequestError("t.parquet is damaged"), UnavailableError("the bucket is away")]
)
def test_an_actors_error_is_told_without_its_traceback(error: Exception) -> None:
    raised = of_an_actor(error)
    assert isinstance(raised, type(error))
    assert "secret.py" in str(raised)
    columns = told_plainly(failing(raised))
    assert next(columns)["position"].tolist() == [0, 1]
    with pytest.raises(type(error)) as caught:
        next(columns)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


def test_what_ray_data_wrapped_is_found() -> None:
    wrapped = UserCodeException("UDF failed")
    wrapped.__cause__ = InvalidRequestError("t.parquet is damaged")
    with pytest.raises(InvalidRequestError, match=r"^t\.parquet is damaged$"):
        list(told_plainly(failing(of_an_actor(wrapped))))


@pytest.mark.parametrize(
    ("error", "logged"), [(InvalidRequestError("damaged"), False), (ZeroDivisionError("x"), True)]
)
def test_ray_data_logs_only_what_nobody_foresaw(
    error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It would advise to tell Ray's makers of a damaged table, under a page of its own code."""

    @omit_traceback_stdout
    def run() -> None:
        raise of_an_actor(error)

    caplog.handler.addFilter(told_elsewhere)
    logger = logging.getLogger("ray.data")
    logger.addHandler(caplog.handler)
    try:
        with pytest.raises(type(error)):
            run()
    finally:
        logger.removeHandler(caplog.handler)
        caplog.handler.removeFilter(told_elsewhere)
    assert bool(caplog.records) is logged


def test_what_nobody_foresaw_stays_rays() -> None:
    with pytest.raises(RayTaskError):
        list(told_plainly(failing(of_an_actor(ZeroDivisionError("x")))))


def test_parts_travel_to_the_actors() -> None:
    parts = pickle.loads(pickle.dumps(Parts(3, 11, 4)))
    assert parts(1) == (7, 11)
