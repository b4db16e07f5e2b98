"""A CSV file with a header, wherever it lies, as a list of images."""

from __future__ import annotations

from typing import IO, Any

import pyarrow as pa
from pyarrow import csv

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.columns import ImageColumns, image_columns
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.ids import AscendingIds
from serve_app.jobs.inputs.listed import TEXT, ImageList, ListedImages
from serve_app.jobs.inputs.places import shown_place
from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.pipeline.annotation_lines import UTF_16

BLOCK = 1 << 20


def read_csv(files: Files, place: str, maker: RowMaker) -> ListedImages:
    """Raises InvalidRequestError for a file without rows or with other columns than it must have,
    that is not UTF-8, or has a line with other fields than its header; as ``Files``."""
    columns = _columns(files, place)
    if columns.image is not None or columns.written is None:
        raise InvalidRequestError(
            f"{shown_place(place)} has a column bytes: CSV holds text only, write Parquet"
        )
    images = ImageList()
    ids = AscendingIds(place)
    rows = _Rows(place)
    with files.open(place) as file:
        try:
            for batch in rows.batches(file, columns):
                numbers = batch.column("id") if columns.has_id else None
                if numbers is not None:
                    ids.check(numbers)
                images.add_columns(batch.column(columns.written), batch.column("label"), numbers)
        except pa.ArrowInvalid as error:
            raise rows.refusal(error) from None
    if not len(images):
        raise InvalidRequestError(f"{shown_place(place)} has a header and no rows")
    return images.images(maker)


def _columns(files: Files, place: str) -> ImageColumns:
    with files.open(place) as file:
        start = file.read(2)
        if not start:
            raise InvalidRequestError(f"{shown_place(place)} is empty: write a header and rows")
        if start in UTF_16:
            raise InvalidRequestError(f"{shown_place(place)} is UTF-16: save it as UTF-8")
        file.seek(0)
        rows = _Rows(place)
        try:
            with rows.reader(file, csv.ConvertOptions()) as reader:
                return image_columns(place, reader.schema.names)
        except pa.ArrowInvalid as error:
            raise rows.refusal(error) from None


class _Rows:
    """Reads a file's rows and knows which line was the first that can't be read."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._invalid: csv.InvalidRow | None = None

    def batches(self, file: IO[bytes], columns: ImageColumns) -> Any:
        types = {columns.written: TEXT, "label": TEXT, "id": pa.int64()}
        options = csv.ConvertOptions(
            include_columns=columns.names,
            column_types={name: types[name] for name in columns.names},
            null_values=[""],
            strings_can_be_null=True,
        )
        with self.reader(file, options) as reader:
            yield from reader

    def reader(self, file: IO[bytes], options: csv.ConvertOptions) -> Any:
        return csv.open_csv(
            file,
            # In one thread a bad line's number is known.
            csv.ReadOptions(block_size=BLOCK, use_threads=False),
            csv.ParseOptions(newlines_in_values=True, invalid_row_handler=self._refuse),
            options,
        )

    def refusal(self, error: pa.ArrowInvalid) -> InvalidRequestError:
        name = shown_place(self._place)
        if self._invalid is not None:
            row = self._invalid
            line = "a line" if row.number is None else f"line {row.number}"
            return InvalidRequestError(
                f"{name}: {line} has {row.actual_columns} fields, the header "
                f"{row.expected_columns}: put a field with commas in quotes"
            )
        if "UTF8" in str(error) or "UTF-8" in str(error):
            return InvalidRequestError(f"{name} is not UTF-8: save it in that encoding")
        if "conversion error to int64" in str(error):
            return InvalidRequestError(f"{name}: the column id holds something else than integers")
        return InvalidRequestError(f"{name} can't be read as CSV: check its quotes and its header")

    def _refuse(self, row: csv.InvalidRow) -> str:
        if self._invalid is None:
            self._invalid = row
        return "error"
