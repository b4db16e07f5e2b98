"""One gallery's FAISS index. The only module that imports FAISS.

Always an IndexIDMap2, the file format of PaddleX. Removal is a tombstone in every index type:
FAISS skips tombstoned ids at search, and a rebuild beside it drops them (a real removal from a
million Flat vectors takes 77 ms, HNSW has none). Not thread-safe: one thread at a time calls it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import faiss
import numpy as np

from serve_app.types import Candidate, IndexType, Metric, Vectors

FAISS_METRICS = {Metric.IP: faiss.METRIC_INNER_PRODUCT, Metric.L2: faiss.METRIC_L2}

HNSW_EF_CONSTRUCTION = 200
HNSW_EF_SEARCH = 256
IVF_POINTS_A_LIST = 39
"""FAISS's least number of training points a centroid."""
IVF_LEAST_TRAINING = 10 * IVF_POINTS_A_LIST
"""Below this an IVF gallery is searched exactly: there is nothing to train on."""

EXACT_AT_FIRST = 2000
"""More templates than this are first searched exactly and indexed beside: HNSW takes minutes for
100,000, and a search that waits for them would time out."""

MAX_TOMBSTONE_SHARE = 0.2
GROWTH_BEFORE_RETRAINING = 4


class GalleryIndex:
    """Templates of one gallery, searchable.

    ``vectors`` (N, D) with their ids and labels are what it starts with; IVF trains on them.
    ``quickly``: a large gallery starts as an exact index and wants to be rebuilt.
    """

    def __init__(
        self,
        index_type: IndexType,
        metric: Metric,
        dimension: int,
        ids: Sequence[int] = (),
        labels: Sequence[str] = (),
        vectors: Vectors | None = None,
        *,
        quickly: bool = False,
    ) -> None:
        self._type = index_type
        self._is_stand_in = (
            quickly and index_type is not IndexType.FLAT and len(ids) > EXACT_AT_FIRST
        )
        self._base = IndexType.FLAT  # what FAISS really holds
        self._metric = metric
        self._labels: dict[int, str] = {}
        self._tombstones: set[int] = set()
        self._selector: Any = None
        self._trained_on = len(ids)
        self._lists = 0  # of a trained IVF
        self._faiss = faiss.IndexIDMap2(self._new_base(dimension, vectors))
        if vectors is not None and len(ids):
            self.add(ids, labels, vectors)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def wants_rebuild(self) -> bool:
        """Whether building it anew from its live templates would make searches faster or better."""
        if len(self._tombstones) > MAX_TOMBSTONE_SHARE * len(self._labels) + 100:
            return True
        if self._is_stand_in:
            return True
        if self._type is not IndexType.IVF or len(self._labels) < IVF_LEAST_TRAINING:
            return False
        outgrown = len(self._labels) >= GROWTH_BEFORE_RETRAINING * self._trained_on
        return outgrown or self._base is IndexType.FLAT

    def add(self, ids: Sequence[int], labels: Sequence[str], vectors: Vectors) -> None:
        """Ids that are there already are left as they are: a replay changes nothing."""
        fresh = [
            row
            for row, number in enumerate(ids)
            if number not in self._labels and number not in self._tombstones
        ]
        if not fresh:
            return
        numbers = np.array([ids[row] for row in fresh], dtype=np.int64)
        self._faiss.add_with_ids(np.ascontiguousarray(vectors[fresh], dtype=np.float32), numbers)
        self._labels.update((ids[row], labels[row]) for row in fresh)

    def remove(self, ids: Iterable[int]) -> None:
        """Ids that are not there are ignored."""
        gone = [number for number in ids if self._labels.pop(number, None) is not None]
        self._tombstones.update(gone)
        if gone:
            self._selector = None

    def search(self, probes: Vectors, top_k: int) -> list[list[Candidate]]:
        """The ``top_k`` nearest templates of each probe (N, D), nearest first, ties by id.

        IP scores are cosines, L2 scores squared distances. Fewer templates give fewer candidates.
        """
        k = min(top_k, len(self._labels))
        if k < 1 or not len(probes):
            return [[] for _ in probes]
        scores, ids = self._faiss.search(
            np.ascontiguousarray(probes, dtype=np.float32), k, params=self._parameters(k)
        )
        return [self._candidates(*row) for row in zip(ids.tolist(), scores.tolist(), strict=True)]

    def _candidates(self, ids: list[int], scores: list[float]) -> list[Candidate]:
        found = [
            Candidate(number, self._labels[number], score)
            for number, score in zip(ids, scores, strict=True)
            if number >= 0
        ]
        sign = -1 if self._metric is Metric.IP else 1
        return sorted(found, key=lambda c: (sign * c.score, c.template_id))

    def _new_base(self, dimension: int, vectors: Vectors | None) -> Any:
        metric = FAISS_METRICS[self._metric]
        count = 0 if vectors is None else len(vectors)
        if self._type is IndexType.HNSW32 and not self._is_stand_in:
            self._base = IndexType.HNSW32
            hnsw = faiss.index_factory(dimension, "HNSW32", metric)
            hnsw.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
            return hnsw
        trainable = count >= IVF_LEAST_TRAINING and not self._is_stand_in
        if self._type is IndexType.IVF and trainable:
            self._base = IndexType.IVF
            self._lists = ivf_lists(count)
            ivf = faiss.index_factory(dimension, f"IVF{self._lists},Flat", metric)
            ivf.train(np.ascontiguousarray(vectors, dtype=np.float32))
            return ivf
        return faiss.index_factory(dimension, "Flat", metric)

    def _parameters(self, k: int) -> Any:
        """Search parameters with the tombstones left out; FAISS keeps no reference to them."""
        if self._tombstones and self._selector is None:
            gone = np.fromiter(self._tombstones, dtype=np.int64)
            batch = faiss.IDSelectorBatch(gone)
            self._selector = faiss.IDSelectorNot(batch)
            self._selector.kept_alive = batch
        selector = {"sel": self._selector} if self._selector is not None else {}
        if self._base is IndexType.HNSW32:
            # Tombstoned neighbours take places in the list of candidates: make it longer.
            share = len(self._labels) / (len(self._labels) + len(self._tombstones))
            ef_search = math.ceil(max(HNSW_EF_SEARCH, 2 * k) / max(share, 0.1))
            return faiss.SearchParametersHNSW(efSearch=ef_search, **selector)
        if self._base is IndexType.IVF:
            return faiss.SearchParametersIVF(nprobe=ivf_probes(self._lists), **selector)
        return faiss.SearchParameters(**selector) if selector else None


def ivf_lists(count: int) -> int:
    """4 * sqrt(N) as FAISS advises, but never fewer than 39 training points a list."""
    return max(1, min(round(4 * math.sqrt(count)), count // IVF_POINTS_A_LIST))


def ivf_probes(lists: int) -> int:
    """A quarter of the lists, at least 8: recall at 1 above 0.95 (tests/index/test_gallery.py)."""
    return min(lists, max(8, lists // 4))


def set_faiss_threads(count: int) -> None:
    """OpenMP threads of FAISS calls by the calling thread: each thread has a setting of its own."""
    faiss.omp_set_num_threads(count)
