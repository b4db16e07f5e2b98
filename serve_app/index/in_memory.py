"""A gallery that lives in memory only and keeps its own index in shape: trained where it is large,
and anew when much was added or removed.

Owns the locks. Gives no ids out, checks no labels and knows no files.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import InvalidRequestError
from serve_app.index.gallery import (
    GalleryIndex,
    LabelColumn,
    Segment,
    extended,
    set_faiss_threads,
    train_and_add,
)
from serve_app.types import Candidate, IndexType, Metric, Vectors

logger = logging.getLogger(__name__)

EXACT_UNTIL = 20_000
"""As the service's ``index.exact_until``."""
GROWTH, DEAD, SLACK = 0.25, 0.2, 1000
"""Shares of the trained index, and templates besides, that may be newer, or removed, before it is
trained anew: as the service's ``index.growth`` and ``index.dead``."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Ids (N,) int64 ascending, labels, vectors (N, D) float32."""

    ids: NDArray[np.int64]
    labels: list[str]
    vectors: Vectors

    def with_more(self, more: Templates) -> Templates:
        return Templates(
            np.concatenate([self.ids, more.ids]),
            self.labels + more.labels,
            np.concatenate([self.vectors, more.vectors]),
        )


class InMemoryGallery:
    """Up to ``exact_until`` templates are searched exactly, whatever the type. Any thread may call
    it; searches go on while an index is trained.

    ``built``: a FAISS index of the type that is there already, row i being template i. Raises
    InvalidRequestError where FAISS can't train the type on the templates.
    """

    def __init__(
        self,
        index_type: str,
        metric: Metric,
        templates: Templates,
        *,
        built: Any = None,
        threads: int = 1,
        exact_until: int = EXACT_UNTIL,
    ) -> None:
        self.index_type = index_type
        self.metric = metric
        self.dimension = int(templates.vectors.shape[1])
        self.threads = threads
        self._exact_until = exact_until
        self._changing = threading.Lock()  # one change, or copy of everything, at a time
        self._lock = threading.Lock()  # a search, or the moment of a change
        self._index, self._originals = self._indexed(templates, built)

    def __len__(self) -> int:
        with self._lock:
            return len(self._index)

    def labels(self) -> dict[int, str]:
        """Of every id; a copy."""
        with self._lock:
            return dict(zip(self._index.live_ids().tolist(), self._index.labels(), strict=True))

    def search(self, probes: Vectors, top_k: int) -> list[list[Candidate]]:
        """The nearest templates of each probe (N, D), nearest first."""
        # Callers search in several threads; beside theirs, FAISS's own would spin and wait.
        set_faiss_threads(1)
        with self._lock:
            return self._index.search(probes, top_k)

    def add(self, more: Templates) -> None:
        """All of them or, if an error ends it, none. Their ids are above all there ever were."""
        with self._changing:
            anew = self._anew(more) if self._outgrown(len(more.ids)) else None
            with self._lock:
                if anew is None:
                    self._index.add(more.ids, more.labels, more.vectors)
                else:
                    self._index, self._originals = anew

    def remove(self, ids: Sequence[int]) -> list[int]:
        """Those of ``ids`` that were there, ascending; they are no more."""
        with self._changing:
            with self._lock:
                gone = self._index.living(ids)
                self._index.remove(gone)
            rows = self._index.sealed_rows + self._index.growing_rows
            if self._index.dead_rows > DEAD * rows + SLACK and (anew := self._anew()):
                with self._lock:
                    self._index, self._originals = anew
        return gone

    def templates(self) -> Templates:
        """All there are, as they were enrolled; a copy."""
        with self._lock:
            ids = self._index.live_ids()
            return Templates(ids, self._index.labels(), self._vectors(ids))

    def whole(self) -> tuple[Templates, Any]:
        """``templates`` and the FAISS index of just these, to be read only; None for it where it
        would have to be made: there is none yet, it holds what was removed, or it quantizes."""
        with self._changing:
            now = self.templates()
            built = self._index.sealed_index
            if built is None or self._index.dead_rows or self._originals is not None:
                return now, None
            newer = self._index.newer_vectors()
            return now, extended(built, newer, self.threads) if len(newer) else built

    def _indexed(
        self, templates: Templates, built: Any = None
    ) -> tuple[GalleryIndex, Templates | None]:
        """An index of the type where there are many, else an exact one; and what it was made of,
        where a quantizer keeps something else."""
        ids, labels, vectors = templates.ids, templates.labels, templates.vectors
        if self.index_type == IndexType.FLAT or len(ids) <= self._exact_until:
            index = GalleryIndex(self.metric, self.dimension)
            index.add(ids, labels, vectors)
            return index, None
        if built is None:
            built = train_and_add(
                self.index_type, self.metric, self.dimension, vectors, self.threads
            )
        column = LabelColumn()
        column.append(labels)
        sealed = Segment.sealed(self.index_type, self.metric, built, ids, column)
        is_lossy = self.index_type not in {*IndexType}
        originals = replace(templates, labels=[]) if is_lossy else None
        return GalleryIndex(self.metric, self.dimension, sealed), originals

    def _anew(self, more: Templates | None = None) -> tuple[GalleryIndex, Templates | None] | None:
        """All there is, and ``more``, in a new index; None, and a warning, where that can't be."""
        try:
            now = self.templates()
            return self._indexed(now if more is None else now.with_more(more))
        except (InvalidRequestError, MemoryError) as error:
            logger.warning("the index is not trained anew: %s", error or "too little memory")
            return None

    def _outgrown(self, new: int) -> bool:
        """Whether ``new`` more templates are a reason to train."""
        if self.index_type == IndexType.FLAT or len(self._index) + new <= self._exact_until:
            return False
        sealed = self._index.sealed_rows
        return not sealed or self._index.growing_rows + new > GROWTH * sealed + SLACK

    def _vectors(self, ids: NDArray[np.int64]) -> Vectors:
        """(N, D) of all live ``ids`` (N,)."""
        if self._originals is None:
            return self._index.live_vectors()
        live = np.isin(self._originals.ids, ids, assume_unique=True)
        return np.concatenate([self._originals.vectors[live], self._index.newer_vectors()])
