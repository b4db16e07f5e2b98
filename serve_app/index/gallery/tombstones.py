"""Which rows of a segment are removed: a bitmap that FAISS reads at search."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

FIRST_ROOM = 1024  # bytes


class Tombstones:
    """A bit a row, set while it lives. ``rows``: how many there are, all alive."""

    def __init__(self, rows: int = 0) -> None:
        self._alive = np.full(max((rows + 7) // 8, FIRST_ROOM), 0xFF, dtype=np.uint8)
        self._rows = rows
        self._dead = 0
        self._selector: Any = None

    @property
    def dead(self) -> int:
        return self._dead

    def extend(self, rows: int) -> None:
        """So many more rows, alive."""
        self._rows += rows
        if self._rows > 8 * len(self._alive):
            room = np.full(max((self._rows + 7) // 8, 2 * len(self._alive)), 0xFF, dtype=np.uint8)
            room[: len(self._alive)] = self._alive
            self._alive = room
            self._selector = None  # it points into the old bitmap

    def bury(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Remove rows (n,), each named once; those that lived until now are returned."""
        fresh = rows[self.alive(rows)]
        bits = np.left_shift(1, fresh & 7).astype(np.uint8)
        # Several rows share a byte: a plain &= would keep one change of them.
        np.bitwise_and.at(self._alive, fresh >> 3, ~bits)
        self._dead += len(fresh)
        return fresh

    def alive(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of rows of any shape; FAISS's -1 (nothing found) is not alive."""
        bits = self._alive[rows >> 3] >> (rows & 7).astype(np.uint8)
        alive: NDArray[np.bool_] = ((bits & 1) == 1) & (rows >= 0)
        return alive

    @property
    def selector(self) -> Any:
        """FAISS's selector of the rows that live.

        It reads this object's own memory: it follows later removals, and must not outlive it.
        """
        if self._selector is None:
            self._selector = faiss.IDSelectorBitmap(len(self._alive), faiss.swig_ptr(self._alive))
        return self._selector
