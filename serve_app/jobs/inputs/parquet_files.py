"""One Parquet file or several as one table, read from any row on, a batch at a time.

Owns footers and row groups: which lie where, what they say of the whole, and that damage is told.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.places import name_of, shown_place

MAGIC = b"PAR1"
TAIL = 8
"""Bytes at the end of a file: the length of the footer, and the magic."""
BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """``start``: the position of its first row; ``groups``: rows of each of its row groups."""

    place: str
    start: int
    groups: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + sum(self.groups)


class ParquetTable:
    """The rows of ``places`` in their order, as their footers say. Travels to other processes.

    Raises InvalidRequestError for what is no Parquet file, files without a row, and ones whose
    columns differ; as ``Files``.
    """

    def __init__(self, files: Files, places: Sequence[str]) -> None:
        self._files = files
        self.place = places[0]
        digest = hashlib.blake2b(digest_size=16)
        found: list[ParquetFile] = []
        schemas: list[pa.Schema] = []
        for place in places:
            footer, stamp = self._footer(place)
            metadata = _metadata(place, footer)
            groups = [metadata.row_group(each).num_rows for each in range(metadata.num_row_groups)]
            found.append(ParquetFile(place, found[-1].stop if found else 0, tuple(groups)))
            schemas.append(metadata.schema.to_arrow_schema())
            for part in (name_of(place).encode("utf-8", "surrogateescape"), stamp.encode(), footer):
                digest.update(len(part).to_bytes(8, "big") + part)
        self._found = found
        self.schema = schemas[0]
        self._schemas = schemas
        self.total = found[-1].stop
        self.fingerprint = digest.hexdigest()
        if not self.total:
            raise InvalidRequestError(f"{shown_place(self.place)} has no rows")

    def check_same(self, columns: Sequence[str]) -> None:
        """Raises InvalidRequestError if a file has a column of another type, or not at all."""
        for file, schema in zip(self._found, self._schemas, strict=True):
            for name in columns:
                kinds = [each.field(name).type for each in (self.schema, schema)
                         if each.get_field_index(name) >= 0]  # fmt: skip
                if len(kinds) < 2 or kinds[0] != kinds[1]:
                    raise InvalidRequestError(
                        f"{shown_place(file.place)} has another column {name} than "
                        f"{name_of(self.place)}, or none: write all files alike"
                    )

    def facts(self, key: str) -> set[str]:
        """What the files' metadata says under a key; empty if none of them says anything."""
        said = [(schema.metadata or {}).get(key.encode()) for schema in self._schemas]
        return {value.decode("utf-8", "replace") for value in said if value}

    def batches(self, start: int, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """Rows from position ``start`` on, ``size`` or fewer at a time. What lies before their row
        group is not read. Raises InvalidRequestError for damage."""
        for file in self._found:
            if start < file.stop:
                yield from self._of_file(file, max(start, file.start), columns, size)

    def group_start(self, position: int) -> int:
        """The first row that must be read to get to ``position``."""
        for file in self._found:
            if position < file.stop:
                return file.start + _whole_groups(file, position)[1]
        return self.total

    def where(self, position: int) -> tuple[str, int]:
        """The file of a position, and the row in it."""
        file = next(file for file in self._found if position < file.stop)
        return file.place, position - file.start

    def _of_file(
        self, file: ParquetFile, start: int, columns: Sequence[str], size: int
    ) -> Iterator[pa.RecordBatch]:
        first, begins = _whole_groups(file, start)
        skip = start - file.start - begins
        with self._files.open(file.place) as source:
            with damage(file.place):
                # Page by page: a row group may hold a million images.
                opened = pq.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER)
                batches = opened.iter_batches(
                    size,
                    row_groups=range(first, len(file.groups)),
                    columns=list(columns),
                    use_threads=False,
                )
            while True:
                with damage(file.place):
                    batch = next(batches, None)
                if batch is None:
                    return
                kept = batch.slice(skip)
                skip = max(0, skip - len(batch))
                if len(kept):
                    yield kept

    def _footer(self, place: str) -> tuple[bytes, str]:
        """The footer with the magic around it, and what else tells one version from another."""
        facts = self._files.facts(place)
        with self._files.open(place) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
            length = int.from_bytes(tail[:4], "little")
            if tail[4:] != MAGIC or length + TAIL > size:
                raise InvalidRequestError(
                    f"{shown_place(place)} is no Parquet file, or its end is missing"
                )
            file.seek(size - TAIL - length)
            return MAGIC + file.read(length) + tail, f"{size} {facts.stamp}"


@contextlib.contextmanager
def damage(place: str) -> Iterator[None]:
    """What pyarrow says of a file's content becomes InvalidRequestError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        # A store's own errors are subclasses, or have a number.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise InvalidRequestError(
            f"{shown_place(place)} is damaged, or written in a form that is not read"
        ) from None


def _metadata(place: str, footer: bytes) -> pq.FileMetaData:
    with damage(place):
        return pq.read_metadata(pa.BufferReader(footer))


def _whole_groups(file: ParquetFile, position: int) -> tuple[int, int]:
    """The row group of a position, and how many rows of the file lie before that group."""
    before = 0
    for number, rows in enumerate(file.groups):
        if position - file.start < before + rows:
            return number, before
        before += rows
    return len(file.groups), before
