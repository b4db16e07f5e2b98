"""Vectors, and raw access to a store's file past the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Vectors

MODEL = "sface-1234"
DIMENSION = 8


def unit(rows: object) -> Vectors:
    """Rows (N, D) L2-normalised to (N, D) float32."""
    array = np.asarray(rows, dtype=np.float64)
    normalised: Vectors = (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)
    return normalised


def vectors(count: int, dimension: int = DIMENSION, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)))


def embeddings(count: int, dimension: int = DIMENSION, seed: int = 0) -> Embeddings:
    return Embeddings(MODEL, vectors(count, dimension, seed))


def build(
    store: GalleryStore,
    key: str = "staff",
    count: int = 3,
    *,
    index_type: str = IndexType.FLAT,
    metric: Metric = Metric.IP,
) -> Embeddings:
    """A gallery with the labels "0", "1" and so on: what was enrolled."""
    enrolled = embeddings(count)
    labels = [str(number) for number in range(count)]
    store.create(key, index_type, metric, labels, enrolled, with_labels=False)
    return enrolled


@contextmanager
def raw(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection past the store, in transactions of its own making."""
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    connection.execute("PRAGMA foreign_keys=ON")
    try:
        yield connection
    finally:
        connection.close()


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with raw(file) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else reads or writes meanwhile."""
    with raw(file) as connection:
        # In WAL mode EXCLUSIVE alone would let readers in.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def info_of(store: GalleryStore, key: str = "staff") -> GalleryInfo:
    return store.describe([key])[key]


def labels_of(store: GalleryStore, key: str = "staff") -> dict[int, str]:
    """Every template's id and label."""
    page = store.page(info_of(store, key), -1, 100_000)
    return dict(zip(page.ids, page.labels, strict=True))
