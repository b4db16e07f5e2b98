"""What was removed is on the disk no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, IndexType, Metric
from tests.index.samples import MODEL, build, embeddings, rows, vectors


def test_removed_rows_keep_neither_label_nor_embedding(store: GalleryStore, file: Path) -> None:
    build(store, count=3)
    store.remove("staff", [1], with_labels=False)
    query = "SELECT id, label IS NULL, embedding IS NULL, added_seq, removed_seq FROM template"
    assert rows(file, query) == [(0, 0, 0, 1, None), (1, 1, 1, 1, 2), (2, 0, 0, 1, None)]


def found_on_disk(file: Path, marks: dict[int, list[bytes]]) -> set[int]:
    """Which ids have any of their marks in the database or a file beside it."""
    content = b"".join(path.read_bytes() for path in file.parent.iterdir())
    return {number for number, parts in marks.items() if any(part in content for part in parts)}


@pytest.mark.parametrize("dimension", [8, 128, 1536])
def test_what_was_removed_is_gone_from_the_disk(
    journal: str, url: str, file: Path, dimension: int
) -> None:
    """Searched while the store is still open: its log counts, and so do the pages that SQLite moved
    rows away from. Any quarter of a label or of an embedding is a find."""
    store = GalleryStore(url)
    chance = np.random.default_rng(dimension)
    names = [f"person-{number:03}-" + "x" * int(chance.integers(0, 3000)) for number in range(80)]
    enrolled = vectors(80, dimension)
    marks = {
        number: [name[:11].encode(), *(part.tobytes() for part in np.split(vector, 4))]
        for number, (name, vector) in enumerate(zip(names, enrolled, strict=True))
    }
    embedded = Embeddings(MODEL, enrolled[:60])
    store.create("staff", IndexType.FLAT, Metric.IP, names[:60], embedded, with_labels=False)
    for number in range(60, 80):
        embedded = Embeddings(MODEL, enrolled[number : number + 1])
        store.add("staff", [names[number]], embedded, with_labels=False)
    assert found_on_disk(file, marks) == set(range(80))
    order = [int(number) for number in chance.permutation(80)]
    for start in range(0, 40, 5):
        store.remove("staff", order[start : start + 5], with_labels=False)
        store.add("staff", ["new"], embeddings(1, dimension, seed=1000 + start), with_labels=False)
        assert found_on_disk(file, marks) == set(order[start + 5 :])
    store.close()
    assert found_on_disk(file, marks) == set(order[40:])
