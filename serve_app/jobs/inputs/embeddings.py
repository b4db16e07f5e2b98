"""Ready embeddings in Parquet: columns ``label``, ``embedding`` and perhaps ``id``."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.columns import check_type, is_text, missing, texts
from serve_app.jobs.inputs.ids import AscendingIds
from serve_app.jobs.inputs.parquet_files import ParquetTable
from serve_app.jobs.inputs.places import shown_place
from serve_app.jobs.inputs.row_making import kept_label, named_fault
from serve_app.jobs.inputs.rows import EmbeddingRows
from serve_app.jobs.inputs.vectors import is_list_of_floats, vectors_of

NEEDED = "label and embedding"
MODEL_ID = "model_id"
"""The key in the file's metadata that says whose embeddings these are."""
LOOK_ROWS = 1024
ID_ROWS = 65_536


class Embeddings:
    """An ``EmbeddingInput``. Vectors are brought to length 1 as they are read. The dimension is the
    column's or, where its lists have no fixed size, the first row's; other rows are at fault.

    ``model_id``: as the user says, checked against what the files say. Raises InvalidRequestError
    for columns that are missing or of another type, ids that are not ascending, and a model that
    nobody names or that is named differently.
    """

    def __init__(self, table: ParquetTable, model_id: str | None) -> None:
        self._table = table
        _check_columns(table)
        self._model_id = _model_id(table, model_id)
        self._columns = [
            name for name in ("id", "label", "embedding") if name in table.schema.names
        ]
        if "id" in self._columns:
            ids = AscendingIds(table.place)
            for batch in table.batches(0, ["id"], ID_ROWS):
                ids.check(batch.column(0))
        self._dimension = _dimension(table)

    @property
    def total(self) -> int:
        return self._table.total

    @property
    def fingerprint(self) -> str:
        return self._table.fingerprint

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def model_id(self) -> str:
        return self._model_id

    def batches(self, start: int, size: int) -> Iterator[EmbeddingRows]:
        """As ``EmbeddingInput``. Raises InvalidRequestError for damage, UnavailableError."""
        for batch in self._table.batches(start, self._columns, size):
            yield self._rows(start, batch)
            start += len(batch)

    def _rows(self, start: int, batch: pa.RecordBatch) -> EmbeddingRows:
        labels, bad = texts(batch.column("label"))
        vectors, faults = vectors_of(batch.column("embedding"), self._dimension)
        for at, label in enumerate(labels):
            if at in bad:
                faults[at] = "the label is not UTF-8"
            elif fault := named_fault(label):
                faults[at] = fault
        ids = batch.column("id").to_pylist() if "id" in self._columns else None
        kept = [kept_label(label) for label in labels]
        return EmbeddingRows(start, kept, vectors, ids, dict(sorted(faults.items())))


def _check_columns(table: ParquetTable) -> None:
    there = table.schema.names
    if not {"label", "embedding"} <= set(there):
        raise missing(table.place, there, NEEDED)
    check_type(table.place, table.schema, "label", "text", is_text)
    wanted = "lists of floating-point numbers"
    check_type(table.place, table.schema, "embedding", wanted, is_list_of_floats)
    if "id" in there:
        check_type(table.place, table.schema, "id", "integers", pa.types.is_integer)
    table.check_same([name for name in ("id", "label", "embedding") if name in there])


def _model_id(table: ParquetTable, given: str | None) -> str:
    said = table.facts(MODEL_ID)
    if len(said) > 1:
        raise InvalidRequestError(
            f"{shown_place(table.place)} and the files beside it are of different models: "
            f"{', '.join(sorted(said))}"
        )
    written = next(iter(said), None)
    if given and written and given != written:
        raise InvalidRequestError(
            f"{shown_place(table.place)} says that its embeddings are of the model {written}, and "
            f"model_id says {given}"
        )
    if not (given or written):
        raise InvalidRequestError(
            f"{shown_place(table.place)} does not say which model its embeddings are of: give "
            "model_id, or write it into the file's metadata under that key"
        )
    return str(given or written)


def _dimension(table: ParquetTable) -> int:
    kind = table.schema.field("embedding").type
    if pa.types.is_fixed_size_list(kind):
        dimension = int(kind.list_size)
    else:
        dimension = next(
            (
                len(value)
                for batch in table.batches(0, ["embedding"], LOOK_ROWS)
                for value in batch.column(0)
                if value.is_valid and len(value)
            ),
            0,
        )
    if dimension < 1:
        raise InvalidRequestError(f"{shown_place(table.place)}: no row has an embedding")
    return dimension
