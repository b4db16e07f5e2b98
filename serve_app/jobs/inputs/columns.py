"""What a table of images must have as columns, and its texts as Python has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.places import shown_place

IMAGES = "path, url or bytes, and label"
NAMED = 20


@dataclass(frozen=True, slots=True)
class ImageColumns:
    """Names of the columns: ``written``: where images are, None if the table holds only bytes;
    ``image``: their bytes, None if they are elsewhere."""

    written: str | None
    image: str | None
    has_id: bool

    @property
    def names(self) -> list[str]:
        numbers = "id" if self.has_id else None
        return [name for name in (self.written, self.image, "label", numbers) if name]


def image_columns(place: str, there: Sequence[str]) -> ImageColumns:
    """Raises InvalidRequestError that names what there is and what is needed."""
    twice = [name for name in ("path", "url", "bytes", "label", "id") if there.count(name) > 1]
    if twice:
        raise InvalidRequestError(f"{shown_place(place)} has two columns called {twice[0]}")
    if "path" in there and "url" in there:
        raise InvalidRequestError(
            f"{shown_place(place)} has both columns path and url: leave one (each takes both)"
        )
    written = next((name for name in ("path", "url") if name in there), None)
    image = "bytes" if "bytes" in there else None
    if "label" not in there or not (written or image):
        raise missing(place, there, IMAGES)
    return ImageColumns(written, image, "id" in there)


def missing(place: str, there: Sequence[str], needed: str) -> InvalidRequestError:
    """To be raised where columns are not there."""
    named = ", ".join(there[:NAMED]) or "none"
    more = f" and {len(there) - NAMED} more" if len(there) > NAMED else ""
    return InvalidRequestError(
        f"{shown_place(place)} has the columns {named}{more}; needed are {needed} (id may be there)"
    )


def check_types(place: str, schema: pa.Schema, columns: ImageColumns) -> None:
    """Raises InvalidRequestError for a column that holds something else."""
    for name in (columns.written, "label"):
        if name is not None:
            check_type(place, schema, name, "text", is_text)
    if columns.image:
        check_type(place, schema, columns.image, "binary", _is_binary)
    if columns.has_id:
        check_type(place, schema, "id", "integers", pa.types.is_integer)


def check_type(
    place: str, schema: pa.Schema, name: str, wanted: str, holds: Callable[[pa.DataType], bool]
) -> None:
    """``holds``: of pyarrow's predicates of types. Raises InvalidRequestError."""
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not holds(kind):
        raise InvalidRequestError(
            f"{shown_place(place)}: the column {name} is of type {kind}, and must hold {wanted}"
        )


def texts(column: pa.Array) -> tuple[list[str | None], set[int]]:
    """The values, and the offsets of those that are not UTF-8, written with escapes: writers of
    Parquet need not check."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.to_pylist(), set()
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
    faulty = {place for place, value in enumerate(raw) if value is not None and not _valid(value)}
    escaped = [value and value.decode("utf-8", "backslashreplace") for value in raw]
    return ["" if text == b"" else text for text in escaped], faulty


def _valid(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))
