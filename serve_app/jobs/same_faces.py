"""Faces that are close to each other under different labels: one person with two names, or two
people in one picture. Reported, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.loading import Loaded
from serve_app.index.store import GalleryStore
from serve_app.policy import default_threshold, is_close
from serve_app.types import GalleryInfo, Metric

NEIGHBOURS = 10
"""Nearest templates that are looked at: more images of one person than that hide the others."""
PAGE = 2000

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("label", pa.string()),
        ("other_id", pa.int64()),
        ("other_label", pa.string()),
        ("cosine", pa.float32()),
        ("other_in", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class SameFace:
    """``other_in``: ``job`` for a template of the same job, ``gallery`` for one that was there.
    ``id`` counts the job's templates from 0."""

    id: int
    label: str
    other_id: int
    other_label: str
    cosine: float
    other_in: str


def same_faces(
    store: GalleryStore, staged: GalleryInfo, among: Sequence[tuple[str, Loaded]], cosine: float
) -> Iterator[SameFace]:
    """Pairs at least as close as ``cosine``, each pair of the job once. ``among``: where to look,
    as (``job`` or ``gallery``, loaded)."""
    after, told = -1, set[frozenset[int]]()
    while (page := store.page(staged, after, PAGE)).ids:
        after = page.ids[-1]
        for where, loaded in among:
            metric = loaded.info.metric
            threshold = default_threshold(cosine, metric)
            found = loaded.index.search(page.vectors, NEIGHBOURS)
            for number, label, candidates in zip(page.ids, page.labels, found, strict=True):
                for other in candidates:
                    if other.label == label or not is_close(other.score, threshold, metric):
                        continue
                    if where == "job":  # often only one of two has the other among its nearest
                        pair = frozenset((number, other.template_id))
                        if pair in told:
                            continue
                        told.add(pair)
                    score = other.score if metric is Metric.IP else 1 - other.score / 2
                    yield SameFace(number, label, other.template_id, other.label, score, where)


def write_same_faces(url: str, pairs: Iterable[SameFace]) -> int:
    """A Parquet file of them; how many there were. Raises UnavailableError."""
    rows = list(pairs)
    columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA.names}
    try:
        with fsspec.open(url, "wb", auto_mkdir=True) as file:
            pq.write_table(pa.table(columns, schema=SCHEMA), file, compression="zstd")
    except FaceServeError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise UnavailableError(f"the report can't be written: {type(error).__name__}") from None
    return len(rows)
