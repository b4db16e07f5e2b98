"""The fake of the ports Index and Galleries: brute force over dictionaries, operations kept."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from serve_app import policy
from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    OperationReusedError,
    UnavailableError,
)
from serve_app.tenancy import tenant_of
from serve_app.types import (
    Candidate,
    Consistency,
    Embeddings,
    GalleryEntry,
    GalleryInfo,
    Metric,
    Operation,
    Receipt,
    SearchResult,
    TemplateEntry,
    Vectors,
)

CREATED_AT = 1_700_000_000.0
"""Seconds since the epoch; each change is a second later than the one before."""


@dataclass
class _Gallery:
    info: GalleryInfo
    created_at: float
    changed_at: float
    templates: dict[int, tuple[str, Vectors]] = field(default_factory=dict)

    def enrol(self, labels: Sequence[str], vectors: Vectors) -> list[int]:
        first = self.info.next_id
        ids = list(range(first, first + len(labels)))
        self.templates |= dict(zip(ids, zip(labels, vectors, strict=True), strict=True))
        self._changed(next_id=first + len(labels))
        return ids

    def remove(self, ids: Sequence[int]) -> list[int]:
        removed = [number for number in ids if self.templates.pop(number, None) is not None]
        self._changed()
        return removed

    def labels(self, below: int) -> dict[int, str]:
        return {number: label for number, (label, _) in self.templates.items() if number < below}

    def _changed(self, next_id: int | None = None) -> None:
        self.changed_at += 1
        self.info = replace(
            self.info,
            seq=self.info.seq + 1,
            size=len(self.templates),
            next_id=self.info.next_id if next_id is None else next_id,
        )


@dataclass(frozen=True)
class _Kept:
    """What an operation did. ``next_id``: of the gallery after it."""

    digest: str
    generation: str
    next_id: int
    receipt: Receipt


class MemoryIndex:
    """``described``: keys of the calls of ``describe``. ``asked``: names of the operations that
    ``answered`` was asked about. ``optimized``: keys of the calls of ``optimize``. ``down``: the
    store does not answer."""

    def __init__(self) -> None:
        self._galleries: dict[str, _Gallery] = {}
        self._kept: dict[str, _Kept] = {}
        self._generations = itertools.count(1)
        self.described: list[str] = []
        self.asked: list[str] = []
        self.optimized: list[str] = []
        self.searches = 0
        self.down = False

    async def build(
        self,
        key: str,
        index_type: str,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        def work() -> tuple[_Gallery, list[int]]:
            if key in self._galleries:
                raise GalleryExistsError("gallery exists")
            info = GalleryInfo(
                key,
                f"g{next(self._generations)}",
                0,
                index_type,
                metric,
                embeddings.vectors.shape[1],
                embeddings.model_id,
            )
            gallery = self._galleries[key] = _Gallery(info, CREATED_AT, CREATED_AT - 1)
            return gallery, gallery.enrol(labels, embeddings.vectors)

        return self._once(operation, with_labels, work)

    async def add(
        self,
        key: str,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        def work() -> tuple[_Gallery, list[int]]:
            gallery = self._fitting(key, embeddings)
            return gallery, gallery.enrol(labels, embeddings.vectors)

        return self._once(operation, with_labels, work)

    async def remove(
        self,
        key: str,
        ids: Sequence[int],
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        def work() -> tuple[_Gallery, list[int]]:
            gallery = self._gallery(key)
            return gallery, gallery.remove(ids)

        return self._once(operation, with_labels, work)

    async def answered(self, operation: Operation, *, with_labels: bool = False) -> Receipt | None:
        self._reach()
        self.asked.append(operation.id)
        return self._earlier(operation, with_labels)

    async def search(
        self,
        key: str,
        probes: Embeddings,
        top_k: int,
        *,
        consistency: Consistency = Consistency.STRONG,
    ) -> SearchResult:
        if consistency is Consistency.STRONG:
            self._reach()
        if key not in self._galleries:
            raise GalleryNotFoundError("gallery does not exist")
        gallery = self._galleries[key]
        self._check_fits(gallery, probes)
        self.searches += 1
        metric = gallery.info.metric
        answers = []
        for probe in probes.vectors:
            found = []
            for number, (label, vector) in gallery.templates.items():
                distance = float(((probe - vector) ** 2).sum())
                score = distance if metric is Metric.L2 else float(probe @ vector)
                found.append(Candidate(number, label, score))
            found.sort(key=lambda candidate: candidate.score, reverse=metric is Metric.IP)
            answers.append(found[:top_k])
        return SearchResult(metric, answers, stale=self.down)

    async def describe(self, key: str) -> GalleryInfo:
        self.described.append(key)
        return self._gallery(key).info

    async def list(
        self, after: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[GalleryEntry]:
        self._reach()
        asked = [key for key in self._galleries if tenant in (None, tenant_of(key))]
        keys = sorted(key for key in asked if key > after)
        return [self._entry(key) for key in keys[:limit]]

    async def entry(self, key: str) -> GalleryEntry:
        return self._entry(key)

    async def templates(
        self, key: str, label: str | None, after: int, limit: int
    ) -> Sequence[TemplateEntry]:
        found = [
            TemplateEntry(number, own)
            for number, (own, _) in sorted(self._gallery(key).templates.items())
            if number > after and label in (None, own)
        ]
        return found[:limit]

    async def remove_label(
        self, key: str, label: str, *, operation: Operation | None = None
    ) -> Receipt:
        def work() -> tuple[_Gallery, Sequence[int]]:
            gallery = self._gallery(key)
            ids = [number for number, (own, _) in gallery.templates.items() if own == label]
            return gallery, gallery.remove(ids)

        return self._once(operation, False, work)

    async def drop(self, key: str, *, operation: Operation | None = None) -> Receipt:
        def work() -> tuple[_Gallery, Sequence[int]]:
            gallery = self._gallery(key)
            del self._galleries[key]
            return gallery, []

        return self._once(operation, False, work)

    async def optimize(self, key: str, *, operation: Operation | None = None) -> Receipt:
        def work() -> tuple[_Gallery, Sequence[int]]:
            self.optimized.append(key)
            return self._gallery(key), []

        return self._once(operation, False, work)

    def _once(
        self,
        operation: Operation | None,
        with_labels: bool,
        work: Callable[[], tuple[_Gallery, Sequence[int]]],
    ) -> Receipt:
        self._reach()
        if operation is not None:
            earlier = self._earlier(operation, with_labels)
            if earlier is not None:
                return earlier
        gallery, ids = work()
        info, note = gallery.info, operation.note if operation else ""
        receipt = Receipt([*ids], len(gallery.templates), None, info.key, note)
        if operation is not None:
            kept = _Kept(operation.digest, info.generation, info.next_id, receipt)
            self._kept[operation.id] = kept
        labels = gallery.labels(info.next_id) if with_labels else None
        return replace(receipt, labels=labels)

    def _earlier(self, operation: Operation, with_labels: bool) -> Receipt | None:
        kept = self._kept.get(operation.id)
        if kept is None:
            return None
        if kept.digest != operation.digest:
            raise OperationReusedError("this Idempotency-Key was used for another request")
        if not with_labels:
            return kept.receipt
        gallery = self._galleries.get(kept.receipt.key)
        there = gallery is not None and gallery.info.generation == kept.generation
        labels = gallery.labels(kept.next_id) if gallery is not None and there else {}
        return replace(kept.receipt, labels=labels)

    def _reach(self) -> None:
        if self.down:
            raise UnavailableError("the gallery store is unavailable; try again shortly")

    def _gallery(self, key: str) -> _Gallery:
        self._reach()
        if key not in self._galleries:
            raise GalleryNotFoundError("gallery does not exist")
        return self._galleries[key]

    def _fitting(self, key: str, embeddings: Embeddings) -> _Gallery:
        gallery = self._gallery(key)
        self._check_fits(gallery, embeddings)
        return gallery

    def _check_fits(self, gallery: _Gallery, embeddings: Embeddings) -> None:
        if not policy.fits(embeddings, gallery.info.model_id):
            raise GalleryMismatchError(
                f"gallery is of {gallery.info.model_id}, embeddings of {embeddings.model_id}"
            )

    def _entry(self, key: str) -> GalleryEntry:
        gallery = self._gallery(key)
        return GalleryEntry(gallery.info, gallery.created_at, gallery.changed_at)
