"""The column of labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.index.gallery.labels import LabelColumn

labels = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=90)


@given(st.lists(labels, max_size=4), st.sets(st.integers(0, 300)))
def test_it_is_a_list_of_strings(parts: list[list[str]], gone: set[int]) -> None:
    column, model = LabelColumn(), list[str]()
    for part in parts:
        column.append(part)
        model += part
    for row in gone & set(range(len(model))):
        column.forget(row)
        model[row] = ""
    again = LabelColumn.from_arrays(*column.arrays())
    for each in (column, again):
        assert [each[row] for row in range(len(each))] == model
        each.append(["late"])
        assert each[len(model)] == "late"


def test_lone_surrogates_are_kept() -> None:
    column = LabelColumn()
    column.append(["\ud800", "ü"])
    assert (column[0], column[1]) == ("\ud800", "ü")


def test_what_is_forgotten_is_not_in_the_bytes() -> None:
    column = LabelColumn()
    column.append(["Anna", "Berta", "Carl"])
    column.forget(1)
    column.forget(1)
    _, blob = column.arrays()
    assert blob.tobytes() == b"Anna\0\0\0\0\0Carl"
    assert [column[row] for row in range(3)] == ["Anna", "", "Carl"]


@pytest.mark.parametrize("row", [-1, 2])
def test_rows_that_are_not_there(row: int) -> None:
    column = LabelColumn()
    column.append(["a", "b"])
    with pytest.raises(IndexError, match=f"row {row} of 2"):
        column[row]
    with pytest.raises(IndexError):
        column.forget(row)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([], "not uint64"),
        ([1, 3], "from 1 to 3, not from 0 to 3"),
        ([0, 2], "from 0 to 2, not from 0 to 3"),
        ([0, 3, 2, 3], "do not ascend"),
    ],
)
def test_offsets_that_do_not_fit(offsets: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LabelColumn.from_arrays(np.array(offsets, np.uint64), np.zeros(3, np.uint8))


def test_arrays_of_other_types() -> None:
    with pytest.raises(ValueError, match="int64"):
        LabelColumn.from_arrays(np.zeros(1, np.int64), np.zeros(0, np.uint8))
    with pytest.raises(ValueError, match="label bytes are int8"):
        LabelColumn.from_arrays(np.zeros(1, np.uint64), np.zeros(0, np.int8))
