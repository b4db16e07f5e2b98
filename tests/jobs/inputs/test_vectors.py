"""Vectors from lists: of one length, of length 1, or at fault."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from serve_app.jobs.inputs.vectors import is_list_of_floats, vectors_of
from tests.jobs.inputs.samples import vectors


@pytest.mark.parametrize("inner", [pa.float16(), pa.float32(), pa.float64()])
def test_brought_to_length_1(inner: pa.DataType) -> None:
    given = [np.array(row, dtype=inner.to_pandas_dtype()) for row in ([3, 4], [0, -2])]
    for kind in (pa.list_(inner), pa.large_list(inner), pa.list_(inner, 2)):
        column = pa.array(given, pa.list_(inner)).cast(kind)
        found, faults = vectors_of(column, 2)
        assert faults == {}
        assert found.dtype == np.float32
        assert np.allclose(found, [[0.6, 0.8], [0.0, -1.0]], atol=1e-7)


def test_of_length_1_stay_as_they_are() -> None:
    column = vectors(500, 128)
    found, faults = vectors_of(column, 128)
    assert faults == {}
    assert found.tobytes() == column.flatten().to_numpy().tobytes()


def test_faults_are_the_rows_own() -> None:
    rows = [[1, 0], [0, 0], None, [1], [float("nan"), 1], [float("inf"), 1], [None, 1], [], [0, 9]]
    for start in (0, 1):
        column = pa.array([[5.0, 5.0], *rows], pa.list_(pa.float32()))[1:]
        found, faults = vectors_of(column[start:], 2)
        kept = {at + start: why for at, why in faults.items()}
        assert set(kept) == {1, 2, 3, 4, 5, 6, 7}
        assert "all zeros" in kept[1]
        assert kept[2] == "has no embedding"
        assert "has 1 numbers, and must have 2" in kept[3]
        assert all("NaN" in kept[at] for at in (4, 5, 6))
        assert found[8 - start].tolist() == [0, 1]
        assert not found[[at - start for at in kept]].any()


def test_faults_in_lists_of_fixed_size() -> None:
    column = pa.array([[1, 0], None, [0, 0], [0, 2]], pa.list_(pa.float32(), 2))
    found, faults = vectors_of(column, 2)
    assert set(faults) == {1, 2}
    assert found.tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]


def test_numbers_that_only_float64_holds() -> None:
    column = pa.array([[3e60, 4e60], [1e200, 1e200], [3e-60, 4e-60]], pa.list_(pa.float64()))
    found, faults = vectors_of(column, 2)
    np.testing.assert_allclose(found[[0, 2]], [[0.6, 0.8], [0.6, 0.8]], atol=1e-7)
    assert set(faults) == {1}


def test_types() -> None:
    assert is_list_of_floats(pa.list_(pa.float32(), 3))
    assert is_list_of_floats(pa.large_list(pa.float64()))
    assert not is_list_of_floats(pa.list_(pa.int32()))
    assert not is_list_of_floats(pa.float32())
    assert not is_list_of_floats(pa.list_(pa.list_(pa.float32())))
