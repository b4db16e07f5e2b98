"""Ids that a table gives its rows: integers that only grow, as a gallery's ids do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.places import shown_place


class AscendingIds:
    """Checks the column batch by batch, from the first row on."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._last = -1
        self._rows = 0

    def check(self, ids: pa.Array) -> None:
        """Raises InvalidRequestError naming the row of the first id that is missing, negative, or
        not above the one before it."""
        if ids.null_count:
            first = int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
            raise self._refusal(first, "has no id: give one to every row, or to none")
        try:
            numbers = ids.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            raise self._refusal(0, "or one after it has an id above 2**63 - 1") from None
        before = np.concatenate(([self._last], numbers[:-1]))
        wrong = np.flatnonzero(numbers <= before)
        if len(wrong):
            at = int(wrong[0])
            raise self._refusal(
                at,
                f"has id {numbers[at]}, after {before[at]}: sort the rows by id and give each "
                "another"
                if numbers[at] >= 0
                else f"has id {numbers[at]}: ids are not negative",
            )
        if len(numbers):
            self._last = int(numbers[-1])
        self._rows += len(numbers)

    def _refusal(self, at: int, why: str) -> InvalidRequestError:
        return InvalidRequestError(f"{shown_place(self._place)}: row {self._rows + at} {why}")
