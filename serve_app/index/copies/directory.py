"""PaddleX's index directory: a gallery as files that PaddleX loads, and back.

``vector.index`` and ``id_map.yaml`` are PaddleX's own; ``face_serve.json`` beside them holds what
those can't say, and their digests. Nothing is pickled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import GalleryMismatchError, InvalidRequestError
from serve_app.index.copies.face_serve_json import read_facts, write_facts
from serve_app.index.copies.id_map import NAMES, IdMap, read_id_map, write_id_map
from serve_app.index.copies.parts import PAGE, Beginning, CopiedRows, Ending, Part, parts
from serve_app.index.copies.placing import new_directory
from serve_app.index.gallery.paddlex import IdMapIndex, read_idmap, write_idmap
from serve_app.index.records import TemplateRows
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryEntry, GalleryInfo, IndexType, Metric, Vectors

VECTORS_FILE = "vector.index"
FACTS_FILE = "face_serve.json"
LENGTH_TOLERANCE = 1e-3
"""How far from 1 a vector's length may be: float16 and another machine's arithmetic are nearer."""


@dataclass(frozen=True, slots=True)
class IndexDirectory:
    """A checked index directory: ids (N,) int64 ascending, vectors (N, D) float32.

    ``model_id`` is None in one that PaddleX wrote; ``index_type`` may be a FAISS factory string.
    """

    index_type: str
    metric: Metric
    ids: NDArray[np.int64]
    labels: list[str]
    vectors: Vectors
    next_id: int
    model_id: str | None

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])


def export_gallery(
    store: GalleryStore, key: str, directory: Path, *, threads: int = 1
) -> GalleryInfo:
    """Write the gallery at one moment, while it may be written to. Returns its facts then.

    Of a type that PaddleX doesn't know, its vectors are written as Flat.
    Raises GalleryNotFoundError, InvalidRequestError if ``directory`` is taken, UnavailableError.
    """
    with new_directory(directory) as made:
        info, rows = _gathered(store, key)
        known = info.index_type in {*IndexType}
        kind = IndexType(info.index_type) if known else IndexType.FLAT
        ids = np.asarray(rows.ids, dtype=np.int64)
        with (made / VECTORS_FILE).open("wb") as file:
            write_idmap(file, kind, info.metric, ids, rows.vectors, threads)
        with (made / NAMES[0]).open("wb") as file:
            write_id_map(file, rows.ids, rows.labels, kind.value, info.metric.value)
        facts = {
            "gallery": key,
            "index_type": str(info.index_type),
            "metric_type": info.metric.value,
            "dimension": info.dimension,
            "model_id": info.model_id,
            "count": info.size,
            "next_id": info.next_id,
            "seq": info.seq,
        }
        write_facts(made / FACTS_FILE, facts, (VECTORS_FILE, NAMES[0]))
    return info


def read_directory(directory: Path) -> IndexDirectory:
    """Raises InvalidRequestError naming the file that is missing, damaged or says otherwise, and
    both values."""
    if not directory.is_dir():
        raise InvalidRequestError(f"{directory.name} is not a directory")
    facts = read_facts(directory / FACTS_FILE)  # first: it knows damaged files before FAISS does
    id_map = read_id_map(directory)
    try:
        index = read_idmap(directory / VECTORS_FILE)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None
    _check_together(index, id_map)
    order = np.argsort(index.ids, kind="stable")
    ids, vectors = index.ids[order], index.vectors[order]
    last = int(ids[-1]) if len(ids) else -1
    index_type, model_id, next_id = id_map.index_type, None, last + 1
    if facts is not None:
        _compare("dimension", VECTORS_FILE, vectors.shape[1], FACTS_FILE, facts["dimension"])
        _compare("count", VECTORS_FILE, len(ids), FACTS_FILE, facts["count"])
        _compare("metric", VECTORS_FILE, index.metric, FACTS_FILE, facts["metric_type"])
        index_type, model_id, next_id = facts["index_type"], facts["model_id"], facts["next_id"]
        if next_id <= last:
            raise InvalidRequestError(f"{FACTS_FILE}: next_id is {next_id}, there is an id {last}")
    labels = [id_map.labels[number] for number in ids.tolist()]
    return IndexDirectory(index_type, index.metric, ids, labels, vectors, next_id, model_id)


def import_gallery(
    store: GalleryStore, content: IndexDirectory, key: str, model_id: str
) -> GalleryInfo:
    """A new gallery of ``content``, with its ids, in one transaction.

    Raises GalleryExistsError, GalleryMismatchError if the directory is of another model.
    """
    if content.model_id is not None and content.model_id != model_id:
        raise GalleryMismatchError(
            f"the directory holds embeddings of model {content.model_id}, not of {model_id}"
        )
    count, now = len(content.ids), time.time()
    info = GalleryInfo(
        key=key,
        generation="",  # the store's to choose
        seq=1,
        index_type=content.index_type,
        metric=content.metric,
        dimension=content.dimension,
        model_id=model_id,
        size=count,
        next_id=content.next_id,
    )
    return store.restore(key, lambda: _parts(content, GalleryEntry(info, now, now)))


def _parts(content: IndexDirectory, entry: GalleryEntry) -> Iterator[Part]:
    yield Beginning(entry)
    for start in range(0, len(content.ids), PAGE):
        part = slice(start, start + PAGE)
        ids = content.ids[part].tolist()
        rows = TemplateRows(ids, content.labels[part], content.vectors[part])
        yield CopiedRows(rows, [1] * len(ids))
    none = TemplateRows([], [], content.vectors[:0])
    yield Ending(entry, [], CopiedRows(none, []))


def _gathered(store: GalleryStore, key: str) -> tuple[GalleryInfo, TemplateRows]:
    """The gallery at one moment, in memory."""
    pages: list[TemplateRows] = []
    for part in parts(store, key):
        match part:
            case Beginning():
                pages = []
            case CopiedRows(templates=templates):
                pages.append(templates)
            case Ending(entry=entry, removed=removed, late=late):
                return entry.info, _joined([*pages, late.templates], set(removed))
    raise AssertionError("a copy ends")  # ``parts`` raises otherwise


def _joined(pages: list[TemplateRows], removed: set[int]) -> TemplateRows:
    ids = [number for page in pages for number in page.ids]
    labels = [label for page in pages for label in page.labels]
    vectors = np.concatenate([page.vectors for page in pages])
    if removed:
        rows = [row for row, number in enumerate(ids) if number not in removed]
        ids, labels = [ids[row] for row in rows], [labels[row] for row in rows]
        vectors = vectors[rows]
    return TemplateRows(ids, labels, vectors)


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
    lengths = np.linalg.norm(index.vectors.astype(np.float64), axis=1)
    wrong = ~(np.abs(lengths - 1) <= LENGTH_TOLERANCE)  # NaN is wrong too
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidRequestError(
            f"{VECTORS_FILE}: the vector of id {index.ids[row]} has length {lengths[row]:.4g}, "
            "embeddings have 1: normalise them first"
        )


def _compare(what: str, one: str, value: object, other: str, expected: object) -> None:
    if value != expected:
        raise InvalidRequestError(f"{what}: {one} has {value}, {other} has {expected}")
