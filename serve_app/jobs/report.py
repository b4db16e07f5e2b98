"""What became of each row, as a Parquet file and as lines of a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.staged import RowOutcome, SettledRow
from serve_app.locations import without_secrets
from serve_app.types import Job

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("source", pa.string()),
        ("label", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("same_as", pa.int64()),
    ]
)
"""``same_as``: the position that showed the same image first."""
ROWS = 50_000
REASONS = 5


def write_report(url: str, rows: Iterable[SettledRow]) -> None:
    """Write a Parquet file: every row of images, the rejected ones of ready embeddings. Replaces
    what is there. Raises UnavailableError."""
    parts = iter(rows)
    try:
        with (
            fsspec.open(url, "wb", auto_mkdir=True) as file,
            pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer,
        ):
            while part := list(islice(parts, ROWS)):
                writer.write_table(_table(part))
    except FaceServeError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise UnavailableError(f"the report can't be written: {type(error).__name__}") from None


def summary(job: Job, rows: Iterable[SettledRow]) -> Iterator[str]:
    """Lines for a log: counts, and the commonest reasons. ``rows``: the rejected and skipped."""
    yield (
        f"{job.done} rows: {job.accepted} accepted, {job.rejected} rejected, "
        f"{job.done - job.accepted - job.rejected} skipped, {job.duplicates} duplicates"
    )
    reasons = Counter(row.reason for row in rows if row.outcome is RowOutcome.REJECTED)
    for reason, count in reasons.most_common(REASONS):
        yield f"  {count} x {reason}"


def _table(rows: list[SettledRow]) -> pa.Table:
    columns = {
        "position": [row.position for row in rows],
        "source": [without_secrets(row.source) for row in rows],
        "label": [row.label for row in rows],
        "outcome": [str(row.outcome) for row in rows],
        "reason": [row.reason for row in rows],
        "same_as": [row.same_as for row in rows],
    }
    return pa.table(columns, schema=SCHEMA)
