"""The ports over the real stages in this process: real networks, a real store, no Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.config import PipelineConfig
from serve_app.errors import FaceServeError
from serve_app.held import Erasure, HeldPage, HeldPlace
from serve_app.index.cache import GalleryCache
from serve_app.index.mutations import Drop, Optimize, RemoveLabel, unnamed
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.index.store.audit_store import AuditStore
from serve_app.index.store.people_store import PeopleStore
from serve_app.models.detector import DetectStage
from serve_app.models.extractor import ExtractStage
from serve_app.pipeline import open_pipeline
from serve_app.request_context import current_request
from serve_app.service import GalleryService, JobService, RecognitionService, RecordService
from serve_app.types import (
    Consistency,
    Crop,
    Crops,
    Embeddings,
    Face,
    GalleryEntry,
    GalleryInfo,
    Metric,
    Operation,
    Receipt,
    SearchResult,
    TemplateEntry,
)
from tests.memory_jobs import MemoryJobs


class LocalDetector:
    def __init__(self, stage: DetectStage) -> None:
        self._stage = stage

    async def detect(self, image: bytes, threshold: float) -> list[Face]:
        return self._stage.detect(image, threshold)

    async def crop_whole(self, image: bytes) -> Crop:
        return self._stage.crop_whole(image)


class LocalExtractor:
    def __init__(self, stage: ExtractStage) -> None:
        self._stage = stage

    async def extract(self, crops: Crops) -> Embeddings:
        return self._stage.extract(crops)


class LocalIndex:
    """The ports Index and Galleries."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._cache = GalleryCache(store)

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
        return self._store.create(
            key,
            index_type,
            metric,
            labels,
            embeddings,
            with_labels=with_labels,
            operation=operation,
        )

    async def add(
        self,
        key: str,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        return self._store.add(
            key, labels, embeddings, with_labels=with_labels, operation=operation
        )

    async def remove(
        self,
        key: str,
        ids: Sequence[int],
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        return self._store.remove(key, ids, with_labels=with_labels, operation=operation)

    async def answered(self, operation: Operation, *, with_labels: bool = False) -> Receipt | None:
        return self._store.answered(operation, with_labels=with_labels)

    async def search(
        self,
        key: str,
        probes: Embeddings,
        top_k: int,
        *,
        consistency: Consistency = Consistency.STRONG,
    ) -> SearchResult:
        (answer,) = self._cache.search([SearchRequest(key, probes, top_k, consistency)])
        if isinstance(answer, Future):
            answer = await asyncio.wrap_future(answer)
        if isinstance(answer, FaceServeError):
            raise answer
        assert isinstance(answer, SearchResult)
        return answer

    async def describe(self, key: str) -> GalleryInfo:
        return self._store.entry(key).info

    async def list(
        self, after: str, limit: int, *, tenant: str | None = None
    ) -> Sequence[GalleryEntry]:
        return self._store.galleries(after, limit, tenant)

    async def entry(self, key: str) -> GalleryEntry:
        return self._store.entry(key)

    async def templates(
        self, key: str, label: str | None, after: int, limit: int
    ) -> Sequence[TemplateEntry]:
        return self._store.templates(self._store.entry(key).info, label, after, limit)

    async def remove_label(
        self, key: str, label: str, *, operation: Operation | None = None
    ) -> Receipt:
        return self._store.do(RemoveLabel(key, label, operation or unnamed()))

    async def drop(self, key: str, *, operation: Operation | None = None) -> Receipt:
        return self._store.do(Drop(key, operation or unnamed()))

    async def optimize(self, key: str, *, operation: Operation | None = None) -> Receipt:
        return self._store.do(Optimize(key, operation or unnamed()))


class LocalRecords:
    """The ports People and AuditLog."""

    def __init__(self, store: GalleryStore) -> None:
        self._people = PeopleStore(store)
        self._log = AuditStore(store)

    async def held(
        self,
        label: str,
        after: HeldPlace | None,
        limit: int,
        *,
        embeddings: bool,
        tenant: str = "",
    ) -> HeldPage:
        by = current_request().caller
        return self._people.held(tenant, label, after, limit, embeddings=embeddings, by=by)

    async def erase(self, label: str, *, tenant: str = "") -> Erasure:
        return self._people.erase(tenant, label, current_request().caller)

    async def rows(self, asked: AuditQuery) -> Sequence[AuditRow]:
        return self._log.page(asked)


def local_services(
    config: PipelineConfig, directory: Path
) -> tuple[RecognitionService, GalleryService, JobService, RecordService]:
    """Services whose galleries lie in ``directory``. Bulk jobs need Ray: there are none."""
    pipeline = open_pipeline(config, directory / "cache")
    store = GalleryStore(f"sqlite:///{directory / 'galleries.db'}")
    index, records = LocalIndex(store), LocalRecords(store)
    recognition = RecognitionService(
        LocalDetector(pipeline.detector), LocalExtractor(pipeline.extractor), index, config
    )
    jobs = JobService(MemoryJobs(), ())
    return recognition, GalleryService(index), jobs, RecordService(records, records)
