"""Images that a list names, held as columns: a million take what their paths and labels do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.jobs.inputs.rows import ImageRow

CHUNK = 10_000
"""Rows that are Python's objects at a time."""
TEXT = pa.large_string()


@dataclass(frozen=True, slots=True)
class ListedImages:
    """An ``ImageInput``. ``written``, ``labels``: texts or null; ``ids``: of each, or None;
    ``faults``: what is known of a position from the list itself."""

    written: pa.ChunkedArray
    labels: pa.ChunkedArray
    ids: pa.ChunkedArray | None
    faults: dict[int, str]
    maker: RowMaker
    fingerprint: str

    @property
    def total(self) -> int:
        return len(self.written)

    def rows(self, start: int, stop: int) -> Iterator[ImageRow]:
        stop = min(stop, self.total)
        for begin in range(start, stop, CHUNK):
            count = min(CHUNK, stop - begin)
            written = self.written.slice(begin, count).to_pylist()
            labels = self.labels.slice(begin, count).to_pylist()
            ids = self.ids.slice(begin, count).to_pylist() if self.ids else [None] * count
            for at in range(count):
                position = begin + at
                fault = self.faults.get(position)
                yield self.maker.row(position, written[at], labels[at], ids[at], fault)


class ImageList:
    """Gathers a ``ListedImages``, row by row or column by column."""

    def __init__(self) -> None:
        self._written: list[pa.Array] = []
        self._labels: list[pa.Array] = []
        self._ids: list[pa.Array] = []
        self._faults: dict[int, str] = {}
        self._waiting: list[tuple[str, str]] = []
        self._count = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def __len__(self) -> int:
        return self._count

    def add(self, written: str, label: str, fault: str | None = None) -> None:
        if fault is not None:
            self._faults[self._count] = fault
        self._waiting.append((written, label))
        self._count += 1
        if len(self._waiting) == CHUNK:
            self._flush()

    def add_columns(self, written: pa.Array, labels: pa.Array, ids: pa.Array | None) -> None:
        self._take(written, labels, ids)
        self._count += len(written)

    def images(self, maker: RowMaker) -> ListedImages:
        self._flush()
        return ListedImages(
            pa.chunked_array(self._written, TEXT),
            pa.chunked_array(self._labels, TEXT),
            pa.chunked_array(self._ids, pa.int64()) if self._ids else None,
            self._faults,
            maker,
            self._digest.hexdigest(),
        )

    def _flush(self) -> None:
        if self._waiting:
            written, labels = zip(*self._waiting, strict=True)
            self._waiting.clear()
            self._take(pa.array(written, TEXT), pa.array(labels, TEXT), None)

    def _take(self, written: pa.Array, labels: pa.Array, ids: pa.Array | None) -> None:
        self._written.append(written)
        self._labels.append(labels)
        for start in range(0, len(written), CHUNK):
            columns = [written, labels] if ids is None else [written, labels, ids]
            texts = [column.slice(start, CHUNK).to_pylist() for column in columns]
            # Row by row, so that it does not depend on how a reader cut its batches.
            for row in zip(*texts, strict=True):
                self._digest.update(json.dumps(row).encode())
        if ids is not None:
            self._ids.append(ids)
