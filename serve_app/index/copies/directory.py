"""PaddleX's index directory: a gallery as files that PaddleX loads, and back.

``vector.index`` and ``id_map.yaml`` are PaddleX's own; ``face_serve.json`` beside them holds what
those can't say, and their digests. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import InvalidRequestError
from serve_app.index.copies.face_serve_json import read_facts, write_facts
from serve_app.index.copies.id_map import NAMES, IdMap, read_id_map, write_id_map
from serve_app.index.copies.placing import settled
from serve_app.index.gallery.paddlex import (
    IdMapIndex,
    read_idmap,
    read_inner,
    write_idmap,
    write_index,
)
from serve_app.types import IndexType, Metric, Vectors

VECTORS_FILE = "vector.index"
FACTS_FILE = "face_serve.json"
LENGTH_TOLERANCE = 1e-3
"""How far from 1 a vector's length may be: float16 and another machine's arithmetic are nearer."""
CHECKED = 10_000
"""Vectors whose lengths are looked at together: double precision takes memory."""


@dataclass(frozen=True, slots=True)
class IndexDirectory:
    """A checked index directory: ids (N,) int64 ascending, vectors (N, D) float32.

    ``model_id`` is None in one that PaddleX wrote; ``index_type`` may be a FAISS factory string.
    ``index``: the FAISS index (bare, row i is ``ids[i]``) where it is of that type and was asked
    for, or is to be written as it is.
    """

    index_type: str
    metric: Metric
    ids: NDArray[np.int64]
    labels: list[str]
    vectors: Vectors
    next_id: int
    model_id: str | None
    index: Any = None

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])


def write_directory(
    made: Path,
    content: IndexDirectory,
    *,
    origin: Mapping[str, Any] = MappingProxyType({}),
    threads: int = 1,
) -> None:
    """Write the three files into the directory ``made``, which nobody reads yet.

    Vectors of a type that PaddleX doesn't know are written as Flat. ``origin``: what else is to be
    noted in ``face_serve.json``. Raises InvalidRequestError for a label that YAML can't hold,
    OSError.
    """
    known = content.index_type in {*IndexType}
    kind = IndexType(content.index_type) if known else IndexType.FLAT
    with (made / VECTORS_FILE).open("wb") as file:
        if content.index is None:
            write_idmap(file, kind, content.metric, content.ids, content.vectors, threads)
        else:
            write_index(file, content.index, content.ids)
    with (made / NAMES[0]).open("wb") as file:
        ids = content.ids.tolist()
        write_id_map(file, ids, content.labels, kind.value, content.metric.value)
    facts = {
        **origin,
        "index_type": content.index_type,
        "metric_type": content.metric.value,
        "dimension": content.dimension,
        "model_id": content.model_id,
        "count": len(content.ids),
        "next_id": content.next_id,
    }
    write_facts(made / FACTS_FILE, facts, (VECTORS_FILE, NAMES[0]))


def read_directory(directory: Path, *, index_above: int | None = None) -> IndexDirectory:
    """Read and check all of it. ``index_above``: with the FAISS index too, if that is of more
    templates, not Flat, and in the order of their ids.

    Raises InvalidRequestError naming the file that is missing, damaged or says otherwise, and both
    values.
    """
    with settled(directory) as place:
        return _read(place, index_above)


def wrong_length(vectors: Vectors) -> tuple[int, float] | None:
    """Row and length of the first of ``vectors`` (N, D) that is not L2-normalised; None if all
    are."""
    for start in range(0, len(vectors), CHECKED):
        lengths = np.linalg.norm(vectors[start : start + CHECKED].astype(np.float64), axis=1)
        wrong = ~(np.abs(lengths - 1) <= LENGTH_TOLERANCE)  # NaN is wrong too
        if wrong.any():
            row = int(np.argmax(wrong))
            return start + row, float(lengths[row])
    return None


def _read(place: Callable[[str], Path], index_above: int | None) -> IndexDirectory:
    facts = read_facts(place(FACTS_FILE), place)  # it knows damaged files before FAISS does
    id_map = read_id_map(place)
    with _refusals_of_faiss():
        found = read_idmap(place(VECTORS_FILE))
    _check_together(found, id_map)
    index = None
    ids, vectors = found.ids, found.vectors
    ascending = bool((ids[1:] > ids[:-1]).all())
    if not ascending:
        order = np.argsort(ids, kind="stable")
        ids, vectors = ids[order], vectors[order]
    last = int(ids[-1]) if len(ids) else -1
    index_type, model_id, next_id = id_map.index_type, None, last + 1
    if facts is not None:
        _compare("dimension", VECTORS_FILE, vectors.shape[1], FACTS_FILE, facts["dimension"])
        _compare("count", VECTORS_FILE, len(ids), FACTS_FILE, facts["count"])
        _compare("metric", VECTORS_FILE, found.metric, FACTS_FILE, facts["metric_type"])
        index_type, model_id, next_id = facts["index_type"], facts["model_id"], facts["next_id"]
        if next_id <= last:
            raise InvalidRequestError(f"{FACTS_FILE}: next_id is {next_id}, there is an id {last}")
    of_type = found.kind is not IndexType.FLAT and found.kind == index_type
    if index_above is not None and len(ids) > index_above and ascending and of_type:
        with _refusals_of_faiss():
            index = read_inner(place(VECTORS_FILE))
    labels = [id_map.labels[number] for number in ids.tolist()]
    return IndexDirectory(index_type, found.metric, ids, labels, vectors, next_id, model_id, index)


@contextlib.contextmanager
def _refusals_of_faiss() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None


def _check_together(index: IdMapIndex, id_map: IdMap) -> None:
    _compare("count", VECTORS_FILE, len(index.ids), id_map.name, len(id_map.labels))
    ids = set(index.ids.tolist())
    if len(ids) != len(index.ids):
        raise InvalidRequestError(f"{VECTORS_FILE} holds an id twice")
    if missing := ids - id_map.labels.keys():
        raise InvalidRequestError(f"{id_map.name} has no label for id {min(missing)}")
    _compare("metric", VECTORS_FILE, index.metric, id_map.name, id_map.metric_type)
    # IVF of too few templates to train on is Flat, here and in what we write.
    flat = index.kind is IndexType.FLAT and id_map.index_type == IndexType.IVF
    if not flat:
        _compare("index type", VECTORS_FILE, index.kind, id_map.name, id_map.index_type)
    if wrong := wrong_length(index.vectors):
        row, length = wrong
        raise InvalidRequestError(
            f"{VECTORS_FILE}: the vector of id {index.ids[row]} has length {length:.4g}, "
            "embeddings have 1: normalise them first"
        )


def _compare(what: str, one: str, value: object, other: str, expected: object) -> None:
    if value != expected:
        raise InvalidRequestError(f"{what}: {one} has {value}, {other} has {expected}")
