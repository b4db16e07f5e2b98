"""Images that Parquet files name or hold, read where they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from serve_app.jobs.inputs.columns import check_types, image_columns, texts
from serve_app.jobs.inputs.ids import AscendingIds
from serve_app.jobs.inputs.parquet_files import ParquetTable
from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.jobs.inputs.rows import ImageRow

NOT_UTF8 = "the path or the label is not UTF-8"
ID_ROWS = 65_536
ROWS = 64
"""Read at a time: with images of 100 KB, 6 MB."""

Batch = tuple[int, pa.RecordBatch]
"""A position, and the rows from it on."""


class ParquetImages:
    """An ``ImageInput``. Whoever asks for rows in their order reads each page of the files once:
    where the last ones ended is remembered, by the object and not by its copies.

    Raises InvalidRequestError for columns that are missing or of another type, or ids that are not
    ascending.
    """

    def __init__(self, table: ParquetTable, maker: RowMaker) -> None:
        self._columns = image_columns(table.place, table.schema.names)
        check_types(table.place, table.schema, self._columns)
        table.check_same(self._columns.names)
        if self._columns.has_id:
            ids = AscendingIds(table.place)
            for batch in table.batches(0, ["id"], ID_ROWS):
                ids.check(batch.column(0))
        self._table = table
        self._maker = maker
        self._reading: Iterator[Batch] = iter(())
        self._held: Batch | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reading": iter(()), "_held": None}

    @property
    def total(self) -> int:
        return self._table.total

    @property
    def fingerprint(self) -> str:
        return self._table.fingerprint

    def rows(self, start: int, stop: int) -> Iterator[ImageRow]:
        """As ``ImageInput``. One caller at a time."""
        stop = min(stop, self.total)
        while start < stop:
            begins, batch = self._batch(start)
            upto = min(stop, begins + len(batch))
            yield from self._rows(start, batch.slice(start - begins, upto - start))
            start = upto

    def _batch(self, position: int) -> Batch:
        """The one with ``position`` in it: further on from the last, unless that means reading
        rows that a row group's start lets us leave out, or going back."""
        held = self._held
        if held is not None and held[0] <= position < held[0] + len(held[1]):
            return held
        reached = -1 if held is None or position < held[0] else held[0] + len(held[1])
        if self._table.group_start(position) > reached:
            self._reading = self._from(position)
        self._held = None  # what fails below must not be gone on with
        self._held = next(each for each in self._reading if position < each[0] + len(each[1]))
        return self._held

    def _from(self, position: int) -> Iterator[Batch]:
        for batch in self._table.batches(position, self._columns.names, ROWS):
            yield position, batch
            position += len(batch)

    def _rows(self, start: int, batch: pa.RecordBatch) -> Iterator[ImageRow]:
        columns = self._columns
        none: list[Any] = [None] * len(batch)
        labels, bad = texts(batch.column("label"))
        written, ids = none, none
        if columns.written is not None:
            written, also_bad = texts(batch.column(columns.written))
            bad |= also_bad
        if columns.has_id:
            ids = batch.column("id").to_pylist()
        for at in range(len(batch)):
            fault = NOT_UTF8 if at in bad else None
            if columns.image is None:
                yield self._maker.row(start + at, written[at], labels[at], ids[at], fault)
                continue
            image = batch.column(columns.image)[at].as_py()
            place, row = self._table.where(start + at)
            yield self._maker.row_with_image(
                start + at, f"{place}#{row}", image, written[at], labels[at], ids[at], fault
            )
