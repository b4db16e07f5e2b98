from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from load_tests.stand_in.session import FixedLatency
from tests.models.stand_ins import FunctionSession


def rows(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, 3, 32, 32)).astype(np.float32)


def doubled_means(x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return {"y": 2 * x.mean(axis=(2, 3))}


def test_it_answers_as_the_real_network_and_asks_it_once_a_row() -> None:
    real = FunctionSession(doubled_means)
    session = FixedLatency(real, 0.0, 0.0)
    inputs = rows(3)
    for _ in range(2):
        outputs = session.run({"x": inputs})
        np.testing.assert_array_equal(outputs["y"], doubled_means(inputs)["y"])
    assert len(real.seen) == 3
    session.run({"x": rows(1, seed=2)})
    assert len(real.seen) == 4
    assert session.input_names == ("x",)


def test_it_lasts_as_long_as_it_says_and_takes_no_processor() -> None:
    session = FixedLatency(FunctionSession(doubled_means), 0.1, 0.02)
    session.run({"x": rows(4)})
    started, used = time.perf_counter(), time.process_time()
    session.run({"x": rows(4)})
    assert time.perf_counter() - started == pytest.approx(0.18, abs=0.03)
    assert time.process_time() - used < 0.05
