"""A gallery that is written to while something else is done with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings

from .samples import DIMENSION, MODEL, unit


def vector_of(label: str) -> object:
    """The one embedding that belongs to a label: a row that was mixed up is found out."""
    chance = np.random.default_rng(list(label.encode()))
    return unit(chance.normal(size=(1, DIMENSION)))[0]


def embeddings_of(labels: list[str]) -> Embeddings:
    rows = [vector_of(label) for label in labels]
    return Embeddings(MODEL, np.array(rows, dtype=np.float32).reshape(-1, DIMENSION))


@contextmanager
def written_to(url: str, key: str) -> Iterator[list[dict[int, str]]]:
    """Adds and removes until the block ends, in a store of its own. Yields every state that the
    gallery was in, oldest first: id to label; the first is that from before."""
    store = GalleryStore(url)
    info = store.describe([key])[key]
    page = store.page(info, -1, 100_000)
    states = [dict(zip(page.ids, page.labels, strict=True))]
    stop = threading.Event()
    chance = np.random.default_rng(5)

    def write() -> None:
        while not stop.is_set():
            labels = [f"late {len(states)} {number}" for number in range(3)]
            ids = store.add(key, labels, embeddings_of(labels), with_labels=False).ids
            states.append({**states[-1], **dict(zip(ids, labels, strict=True))})
            gone = [int(each) for each in chance.choice(list(states[-1]), 2, replace=False)]
            store.remove(key, gone, with_labels=False)
            states.append({n: label for n, label in states[-1].items() if n not in gone})
            time.sleep(0.002)  # a rollback journal's writer would starve the readers

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(states) < 5:
            time.sleep(0.01)
        yield states
    finally:
        stop.set()
        thread.join()
        store.close()
