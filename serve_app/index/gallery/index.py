"""One gallery in memory: a sealed segment and what came after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.index.gallery.segment import Segment
from serve_app.types import Candidate, IndexType, Metric, Vectors


class GalleryIndex:
    """Templates of one gallery, searchable. One thread at a time.

    ``sealed`` may be of any index type and gets no more templates; new ones go to a segment beside
    it that is searched exactly. Ids only grow: an id up to ``last_id`` is never new.
    """

    def __init__(self, metric: Metric, dimension: int, sealed: Segment | None = None) -> None:
        self._metric = metric
        self._sealed = Segment.growing(metric, dimension) if sealed is None else sealed
        self._growing = Segment.growing(metric, dimension)
        self.index_type_in_use: str = IndexType.FLAT if sealed is None else sealed.index_type

    def __len__(self) -> int:
        """Live templates."""
        return len(self._sealed) + len(self._growing)

    @property
    def last_id(self) -> int:
        """-1 before there is any. Counts removed templates that are still tombstones."""
        return max(self._sealed.last_id, self._growing.last_id)

    @property
    def sealed_rows(self) -> int:
        """Of the sealed segment, tombstones included; so ``growing_rows`` of the other."""
        return self._sealed.rows

    @property
    def growing_rows(self) -> int:
        return self._growing.rows

    @property
    def dead_rows(self) -> int:
        """Tombstones of both segments."""
        return self._sealed.dead + self._growing.dead

    @property
    def sealed_index(self) -> Any:
        """FAISS's bare index of the sealed segment, which nobody changes; None where there is none,
        or it is a Flat one: those are overwritten at removals."""
        return None if self._sealed.is_exact else self._sealed.faiss_index

    def live_ids(self) -> NDArray[np.int64]:
        """(N,) int64, ascending; a copy."""
        return np.concatenate([self._sealed.live_ids(), self._growing.live_ids()])

    def live_vectors(self) -> Vectors:
        """(N, D) float32 of ``live_ids``; a copy. Of a type that quantizes, what it made of
        them."""
        if not self._sealed.rows:
            return self.newer_vectors()
        return np.concatenate([self._sealed.live_vectors(), self.newer_vectors()])

    def newer_vectors(self) -> Vectors:
        """(N, D) float32 of the live templates that are not in the sealed segment; a copy."""
        return self._growing.live_vectors()

    def labels(self) -> list[str]:
        """Of ``live_ids``."""
        segments = (self._sealed, self._growing)
        return [label for each in segments for label in each.labels_of(each.live_ids())]

    def living(self, ids: Iterable[int]) -> list[int]:
        """Those of ``ids`` that are live templates, each once, ascending."""
        asked = list(ids)
        return [*self._sealed.living(asked).tolist(), *self._growing.living(asked).tolist()]

    def add(
        self, ids: Sequence[int] | NDArray[np.int64], labels: Sequence[str], vectors: Vectors
    ) -> None:
        """``vectors`` (n, D). Ids up to ``last_id`` are skipped: a replay changes nothing."""
        numbers = np.asarray(ids, dtype=np.int64)
        new = numbers > self._sealed.last_id
        if not new.all():
            rows = np.flatnonzero(new)
            numbers, vectors = numbers[rows], vectors[rows]
            labels = [labels[row] for row in rows.tolist()]
        self._growing.add(numbers, labels, vectors)

    def remove(self, ids: Iterable[int]) -> None:
        """Ids that are not there are ignored."""
        gone = list(ids)
        self._sealed.remove(gone)
        self._growing.remove(gone)

    def search(self, probes: Vectors, top_k: int) -> list[list[Candidate]]:
        """The ``top_k`` nearest templates of each probe (N, D), nearest first, ties by id.

        IP scores are cosines, L2 scores squared distances. Fewer templates give fewer candidates.
        """
        k = min(top_k, len(self))
        if k < 1 or not len(probes):
            return [[] for _ in probes]
        asked = [segment for segment in (self._sealed, self._growing) if len(segment)]
        found = [segment.search(probes, k) for segment in asked]
        scores = np.concatenate([each[0] for each in found], axis=1)
        ids = np.concatenate([each[1] for each in found], axis=1)
        worseness = -scores if self._metric is Metric.IP else scores
        # Padding has an infinitely bad score: it comes last.
        order = np.lexsort((ids, worseness), axis=-1)[:, :k]
        scores, ids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
        return self._candidates(scores, ids)

    def _candidates(
        self, scores: NDArray[np.float32], ids: NDArray[np.int64]
    ) -> list[list[Candidate]]:
        labels = self._labels_of(ids)
        return [
            [
                Candidate(number, labels[number], score)
                for number, score in zip(*row, strict=True)
                if number >= 0
            ]
            for row in zip(ids.tolist(), scores.tolist(), strict=True)
        ]

    def _labels_of(self, ids: NDArray[np.int64]) -> dict[int, str]:
        wanted = np.unique(ids)
        wanted = wanted[wanted >= 0]
        old = wanted <= self._sealed.last_id
        labels = self._sealed.labels_of(wanted[old]) + self._growing.labels_of(wanted[~old])
        return dict(zip(wanted.tolist(), labels, strict=True))
