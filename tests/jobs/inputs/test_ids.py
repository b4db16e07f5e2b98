"""Ids of a table's rows only grow."""

from __future__ import annotations

import pyarrow as pa
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.ids import AscendingIds


def test_ascending_over_batches() -> None:
    ids = AscendingIds("/t")
    for batch in ([0, 1, 5], [], [6], [2**63 - 1]):
        ids.check(pa.array(batch, pa.int64()))


@pytest.mark.parametrize(
    ("second", "message"),
    [([3, 4], "row 2 has id 3, after 3"), ([4, 2], "row 3 has id 2, after 4"),
     ([4, None], "row 3 has no id"), ([-1], "row 2 has id -1: ids are not negative"),
     ([4, 4], "row 3 has id 4, after 4")],
)  # fmt: skip
def test_refused(second: list[int | None], message: str) -> None:
    ids = AscendingIds("/t")
    ids.check(pa.array([1, 3], pa.int32()))
    with pytest.raises(InvalidRequestError, match=f"/t: {message}"):
        ids.check(pa.array(second, pa.int64()))


def test_too_large() -> None:
    with pytest.raises(InvalidRequestError, match="above"):
        AscendingIds("/t").check(pa.array([2**63], pa.uint64()))
