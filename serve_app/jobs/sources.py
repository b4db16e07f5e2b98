"""Where a gallery's images were, as a table that a job can read: for embedding it anew."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from serve_app.errors import InvalidRequestError
from serve_app.index.records import Moment
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.types import GalleryInfo

PAGE = 10_000
SCHEMA = pa.schema([("id", pa.int64()), ("path", pa.string()), ("label", pa.string())])


def write_sources(store: GalleryStore, key: str, file: Path) -> tuple[int, Moment]:
    """A CSV file with id, path and label of each template; how many there are, and when.

    CSV, as the job's own process reads it: its actors, on other nodes, need not find the file.

    Raises GalleryNotFoundError; InvalidRequestError if the source of some was not kept: they would
    be lost.
    """
    info = store.entry(key).info
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.unfinished")  # half of it would be taken for all
    try:
        unfinished.touch(mode=0o600)
        count = _write(JobStore(store), info, unfinished)
        if count < info.size:
            raise InvalidRequestError(
                f"gallery {key} has {info.size} templates, and where the image was is known of "
                f"{count}: only galleries that were built with --keep-sources can be embedded anew"
            )
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return count, Moment(info.generation, info.seq)


def _write(jobs: JobStore, info: GalleryInfo, file: Path) -> int:
    count, after = 0, -1
    options = csv.WriteOptions(quoting_style="all_valid")
    with csv.CSVWriter(file, SCHEMA, write_options=options) as writer:
        while page := jobs.sources(info, after, PAGE):
            ids, sources, labels = (list(column) for column in zip(*page, strict=True))
            writer.write_table(pa.table([ids, sources, labels], schema=SCHEMA))
            count, after = count + len(page), ids[-1]
    return count
