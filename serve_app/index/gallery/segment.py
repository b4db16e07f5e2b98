"""Rows of templates in one FAISS index: what a gallery in memory is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from serve_app.index.gallery.kinds import (
    FAISS_METRICS,
    most_candidates,
    search_parameters,
    takes_selector,
)
from serve_app.index.gallery.labels import LabelColumn
from serve_app.index.gallery.tombstones import Tombstones
from serve_app.types import IndexType, Metric, Vectors

FIRST_ROOM = 64

NOWHERE = {Metric.IP: np.float32(np.nan), Metric.L2: np.float32(1e18)}
"""What a removed vector of a Flat index is overwritten with: FAISS never finds it, and still
searches by matrix products, which it does not with a selector."""

WORST = {Metric.IP: np.float32(-np.inf), Metric.L2: np.float32(np.inf)}

Scores = NDArray[np.float32]
Ids = NDArray[np.int64]


class Segment:
    """Rows 0 to n - 1 of a FAISS index with ids, strictly ascending, and labels beside them.

    Made by ``growing`` or ``sealed``. A removed row stays as a tombstone, in every index type:
    its label is overwritten, its vector too where the index is Flat. One thread at a time.
    """

    def __init__(
        self, index_type: str, metric: Metric, faiss_index: Any, ids: Ids, labels: LabelColumn
    ) -> None:
        self.index_type = index_type
        self._metric = metric
        self._faiss = faiss_index
        self._ids = ids  # may be longer than there are rows
        self._rows = len(labels)
        self._labels = labels
        self._tombstones = Tombstones(self._rows)
        self._is_flat = type(faiss_index) in {
            faiss.IndexFlat,
            faiss.IndexFlatIP,
            faiss.IndexFlatL2,
        }
        self._takes_selector: bool | None = None

    @classmethod
    def growing(cls, metric: Metric, dimension: int) -> Segment:
        """Empty, and searched exactly."""
        flat = faiss.IndexFlat(dimension, FAISS_METRICS[metric])
        return cls(IndexType.FLAT, metric, flat, np.zeros(FIRST_ROOM, np.int64), LabelColumn())

    @classmethod
    def sealed(
        cls, index_type: str, metric: Metric, faiss_index: Any, ids: Ids, labels: LabelColumn
    ) -> Segment:
        """Of a FAISS index (no IDMap) whose row i is ``ids[i]`` (n,). Takes all three as its own.

        Raises ValueError where they don't fit each other.
        """
        if not faiss_index.ntotal == len(ids) == len(labels):
            raise ValueError(
                f"{faiss_index.ntotal} vectors, {len(ids)} ids and {len(labels)} labels"
            )
        if (ids[1:] <= ids[:-1]).any():
            raise ValueError("ids are not strictly ascending")
        return cls(index_type, metric, faiss_index, ids, labels)

    def __len__(self) -> int:
        """Live templates."""
        return self._rows - self._tombstones.dead

    @property
    def rows(self) -> int:
        """Live templates and tombstones."""
        return self._rows

    @property
    def dead(self) -> int:
        return self._tombstones.dead

    @property
    def dead_share(self) -> float:
        return self.dead / self._rows if self._rows else 0.0

    @property
    def first_id(self) -> int:
        """-1 of an empty segment, as ``last_id``. Both count tombstones."""
        return int(self._ids[0]) if self._rows else -1

    @property
    def last_id(self) -> int:
        return int(self._ids[self._rows - 1]) if self._rows else -1

    @property
    def is_exact(self) -> bool:
        return self._is_flat

    def add(self, ids: Sequence[int] | Ids, labels: Sequence[str], vectors: Vectors) -> None:
        """``vectors`` (n, D) of the ids. Those up to the last id are skipped: a replay changes
        nothing. For growing segments only."""
        numbers = np.asarray(ids, dtype=np.int64)
        order = np.unique(numbers, return_index=True)[1]
        order = order[numbers[order] > self.last_id]
        if not len(order):
            return
        if len(order) < len(numbers) or (order[1:] < order[:-1]).any():
            numbers, vectors = numbers[order], vectors[order]
            labels = [labels[row] for row in order.tolist()]
        self._faiss.add(np.ascontiguousarray(vectors, dtype=np.float32))
        self._labels.append(labels)
        self._tombstones.extend(len(numbers))
        rows = self._rows + len(numbers)
        if rows > len(self._ids):
            room = np.zeros(max(rows, 2 * len(self._ids)), dtype=np.int64)
            room[: self._rows] = self._ids[: self._rows]
            self._ids = room
        self._ids[self._rows : rows] = numbers
        self._rows = rows

    def remove(self, ids: Iterable[int]) -> int:
        """How many of the ids lived until now; unknown ones are ignored."""
        fresh = self._tombstones.bury(self._rows_of(np.unique(np.fromiter(ids, dtype=np.int64))))
        for row in fresh.tolist():
            self._labels.forget(row)
        if self._is_flat and len(fresh):
            size = self._rows * self._faiss.d
            vectors = faiss.rev_swig_ptr(self._faiss.get_xb(), size).reshape(self._rows, -1)
            vectors[fresh] = NOWHERE[self._metric]
        return len(fresh)

    def search(self, probes: Vectors, k: int) -> tuple[Scores, Ids]:
        """Scores (N, k) float32 and ids (N, k) int64 of the nearest to probes (N, D), nearest
        first. Where there are fewer: the worst score and the id -1."""
        scores = np.full((len(probes), k), WORST[self._metric], dtype=np.float32)
        ids = np.full((len(probes), k), -1, dtype=np.int64)
        found = min(k, len(self), most_candidates(self._faiss))
        if found < 1 or not len(probes):
            return scores, ids
        asked = np.ascontiguousarray(probes, dtype=np.float32)
        near, rows = self._search_rows(asked, found)
        is_found = rows >= 0
        ids[:, :found] = np.where(is_found, self._ids[rows], -1)
        scores[:, :found] = np.where(is_found, near, WORST[self._metric])
        return scores, ids

    @property
    def faiss_index(self) -> Any:
        """The bare index, tombstones and all: to be read only."""
        return self._faiss

    def living(self, ids: Iterable[int]) -> Ids:
        """Those of ``ids`` that live, each once, ascending."""
        rows = self._rows_of(np.unique(np.fromiter(ids, dtype=np.int64)))
        return self._ids[rows[self._tombstones.alive(rows)]]

    def live_ids(self) -> Ids:
        """(n,) int64, ascending; a copy."""
        return self._ids[: self._rows][self._alive_rows()]

    def live_vectors(self) -> Vectors:
        """(n, D) float32 of ``live_ids``; a copy. Of a type that quantizes, what it made of
        them."""
        if not self._rows:
            return np.empty((0, self._faiss.d), dtype=np.float32)
        vectors: Vectors = self._faiss.reconstruct_n(0, self._rows)
        return vectors[self._alive_rows()] if self.dead else vectors

    def label(self, number: int) -> str:
        """Of a live template; raises KeyError."""
        return self.labels_of(np.array([number], dtype=np.int64))[0]

    def labels_of(self, ids: Ids) -> list[str]:
        """Of live templates (n,), in their order; raises KeyError if one is not."""
        rows = self._rows_of(ids)
        if len(rows) != len(ids) or not self._tombstones.alive(rows).all():
            raise KeyError("no such template")
        return [self._labels[row] for row in rows.tolist()]

    def _alive_rows(self) -> NDArray[np.bool_]:
        return self._tombstones.alive(np.arange(self._rows))

    def _rows_of(self, ids: Ids) -> NDArray[np.int64]:
        """Of those ids that are there, dead or alive."""
        known = self._ids[: self._rows]
        rows = np.searchsorted(known, ids)
        inside = rows < self._rows
        rows, ids = rows[inside], ids[inside]
        known_rows: NDArray[np.int64] = rows[known[rows] == ids]
        return known_rows

    def _search_rows(self, probes: Vectors, k: int) -> tuple[Scores, NDArray[np.int64]]:
        """Scores and live rows (N, k); -1 where the index found fewer."""
        if self._is_flat or not self.dead:
            return self._ask(probes, k, None)
        if self._takes_selector is None:
            self._takes_selector = takes_selector(self._faiss)
        if self._takes_selector:
            return self._ask(probes, k, self._tombstones.selector)
        return self._search_and_filter(probes, k)

    def _search_and_filter(self, probes: Vectors, k: int) -> tuple[Scores, NDArray[np.int64]]:
        """More than ``k``, of which the dead are dropped: as many as probably suffice at first."""
        most = min(self._rows, most_candidates(self._faiss))
        fetched = min(most, math.ceil(1.5 * k / (1 - self.dead_share)) + 16)
        while True:
            scores, rows = self._ask(probes, fetched, None)
            alive = self._tombstones.alive(rows)
            enough = (alive.sum(axis=1) >= k) | (rows < 0).any(axis=1)
            if fetched == most or enough.all():
                break
            fetched = min(most, 2 * fetched)
        order = np.argsort(~alive, axis=1, kind="stable")[:, :k]
        rows = np.where(alive, rows, -1)
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

    def _ask(self, probes: Vectors, k: int, selector: Any) -> tuple[Scores, NDArray[np.int64]]:
        share = 1.0 if selector is None else 1 - self.dead_share
        # A name of its own keeps the parameters alive until FAISS is done with them.
        parameters = search_parameters(self._faiss, selector, k=k, share=share)
        scores, rows = self._faiss.search(probes, k, params=parameters)
        return scores, rows
