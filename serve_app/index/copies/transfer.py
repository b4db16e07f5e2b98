"""A stored gallery to an index directory, and a new gallery of one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serve_app.errors import GalleryMismatchError
from serve_app.index.copies.directory import IndexDirectory, write_directory
from serve_app.index.copies.parts import PAGE, Beginning, CopiedRows, Ending, Part, parts
from serve_app.index.copies.placing import new_directory
from serve_app.index.records import TemplateRows
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryEntry, GalleryInfo


def export_gallery(
    store: GalleryStore, key: str, directory: Path, *, threads: int = 1
) -> GalleryInfo:
    """Write the gallery at one moment, while it may be written to. Returns its facts then.

    Of a type that PaddleX doesn't know, its vectors are written as Flat.
    Raises GalleryNotFoundError, InvalidRequestError if ``directory`` is taken, UnavailableError.
    """
    with new_directory(directory) as made:
        info, rows = _gathered(store, key)
        content = IndexDirectory(
            index_type=str(info.index_type),
            metric=info.metric,
            ids=np.asarray(rows.ids, dtype=np.int64),
            labels=rows.labels,
            vectors=rows.vectors,
            next_id=info.next_id,
            model_id=info.model_id,
        )
        write_directory(made, content, origin={"gallery": key, "seq": info.seq}, threads=threads)
    return info


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
    return store.restore(
        key, lambda: _parts(content, GalleryEntry(info, now, now)), action="import"
    )


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
