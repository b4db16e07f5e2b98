"""Inputs as users have them: pictures, tables, and a bucket in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.config import FetchConfig, JobRequest
from serve_app.jobs.inputs.allowed import AllowedInputs
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.jobs.inputs.rows import ImageRow
from serve_app.jobs.inputs.stores import CONNECT


def memory_files() -> Any:
    return fsspec.filesystem("memory")


MEMORY = {**CONNECT, "s3": memory_files}
"""``s3://`` is fsspec's store in memory."""


def files(allowed: AllowedInputs | None = None, **connect: Any) -> Files:
    return Files(FetchConfig(), allowed, {**MEMORY, **connect}, first_answer_s=0.3)


def maker(root: Path | str, *allowed: str) -> RowMaker:
    return RowMaker(str(root), AllowedInputs(allowed) if allowed else None)


def request(place: Path | str, **facts: Any) -> JobRequest:
    return JobRequest(key="people", input=str(place), **facts)


def put(bucket: str, contents: dict[str, bytes]) -> str:
    """Objects of a bucket, which nobody else has; its place."""
    store = memory_files()
    if store.exists(f"/{bucket}"):
        store.rm(f"/{bucket}", recursive=True)
    for key, content in contents.items():
        store.pipe(f"/{bucket}/{key}", content)
    return f"s3://{bucket}"


def write_table(
    file: Path,
    columns: dict[str, Any],
    *,
    group: int | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata), file, row_group_size=group)
    return file


def vectors(count: int, dimension: int = 4, seed: int = 1) -> pa.Array:
    """Random ones of length 1, as lists of fixed size."""
    found = np.random.default_rng(seed).normal(size=(count, dimension))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    flat = pa.array(found.astype(np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, dimension)


def pairs(rows: Sequence[ImageRow]) -> list[tuple[str, str]]:
    return [(row.source, row.label) for row in rows]
