"""The labels of a segment's rows, one after the other in one blob. Knows nothing of FAISS.

A million Python strings cost a hundred megabytes and a pause at each collection of garbage; this
costs their bytes and eight more each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FIRST_ROOM = 64


class LabelColumn:
    """Labels by row, appended at the end.

    A forgotten row keeps its place in the blob, as zeros: NUL is in no label (the API refuses it),
    so a row that begins with one reads as "".
    """

    def __init__(self) -> None:
        self._blob = bytearray()
        self._ends = np.zeros(FIRST_ROOM, dtype=np.uint64)
        self._rows = 0

    @classmethod
    def from_arrays(cls, offsets: NDArray[np.uint64], blob: NDArray[np.uint8]) -> LabelColumn:
        """``offsets`` (n + 1,) uint64, from 0 to the length of ``blob`` uint8; both are copied.

        Raises ValueError for offsets that don't describe the blob.
        """
        if offsets.ndim != 1 or offsets.dtype != np.uint64 or not len(offsets):
            raise ValueError(
                f"label offsets are {offsets.dtype} {offsets.shape}, not uint64 (n+1,)"
            )
        if blob.ndim != 1 or blob.dtype != np.uint8:
            raise ValueError(f"label bytes are {blob.dtype} {blob.shape}, not uint8 (n,)")
        if offsets[0] != 0 or offsets[-1] != len(blob):
            raise ValueError(
                f"label offsets go from {offsets[0]} to {offsets[-1]}, not from 0 to {len(blob)}"
            )
        if (offsets[1:] < offsets[:-1]).any():
            raise ValueError("label offsets do not ascend")
        column = cls()
        column._blob = bytearray(blob)
        column._ends = offsets[1:].copy()
        column._rows = len(offsets) - 1
        return column

    def arrays(self) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Copies: offsets (n + 1,) uint64 and the blob uint8, as ``from_arrays`` takes them."""
        offsets = np.zeros(self._rows + 1, dtype=np.uint64)
        offsets[1:] = self._ends[: self._rows]
        return offsets, np.array(self._blob, dtype=np.uint8)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> str:
        """Raises IndexError outside of 0 to len - 1."""
        start, end = self._span(row)
        label = self._blob[start:end]
        return "" if label[:1] == b"\0" else label.decode("utf-8", "surrogatepass")

    def append(self, labels: Sequence[str]) -> None:
        encoded = [label.encode("utf-8", "surrogatepass") for label in labels]
        rows = self._rows + len(encoded)
        if rows > len(self._ends):
            room = np.zeros(max(rows, 2 * len(self._ends), FIRST_ROOM), dtype=np.uint64)
            room[: self._rows] = self._ends[: self._rows]
            self._ends = room
        lengths = np.fromiter(map(len, encoded), dtype=np.uint64, count=len(encoded))
        self._ends[self._rows : rows] = np.cumsum(lengths) + np.uint64(len(self._blob))
        self._blob += b"".join(encoded)
        self._rows = rows

    def forget(self, row: int) -> None:
        """Raises IndexError outside of 0 to len - 1."""
        start, end = self._span(row)
        self._blob[start:end] = bytes(end - start)

    def _span(self, row: int) -> tuple[int, int]:
        if not 0 <= row < self._rows:
            raise IndexError(f"row {row} of {self._rows}")
        return int(self._ends[row - 1]) if row else 0, int(self._ends[row])
