"""The three ports over the real stages in this process: real networks, a real store, no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serve_app.config import PipelineConfig
from serve_app.errors import FaceServeError, GalleryNotFoundError
from serve_app.index.cache import GalleryCache
from serve_app.index.records import SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.models.detector import DetectStage
from serve_app.models.extractor import ExtractStage
from serve_app.pipeline import open_pipeline
from serve_app.service import RecognitionService
from serve_app.types import (
    Crop,
    Crops,
    Embeddings,
    Face,
    GalleryInfo,
    IndexType,
    Metric,
    Receipt,
    SearchResult,
)


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
    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._cache = GalleryCache(store)

    async def build(
        self,
        key: str,
        index_type: IndexType,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
    ) -> Receipt:
        return self._store.create(
            key, index_type, metric, labels, embeddings, with_labels=with_labels
        )

    async def add(
        self, key: str, labels: Sequence[str], embeddings: Embeddings, *, with_labels: bool
    ) -> Receipt:
        return self._store.add(key, labels, embeddings, with_labels=with_labels)

    async def remove(self, key: str, ids: Sequence[int], *, with_labels: bool) -> Receipt:
        return self._store.remove(key, ids, with_labels=with_labels)

    async def search(self, key: str, probes: Embeddings, top_k: int) -> SearchResult:
        (answer,) = self._cache.search([SearchRequest(key, probes, top_k)])
        if isinstance(answer, FaceServeError):
            raise answer
        return answer

    async def describe(self, key: str) -> GalleryInfo:
        found = self._store.describe([key])
        if key not in found:
            raise GalleryNotFoundError(f"gallery {key} does not exist")
        return found[key]


def local_service(config: PipelineConfig, directory: Path) -> RecognitionService:
    """A service whose galleries lie in ``directory``."""
    pipeline = open_pipeline(config, directory / "cache")
    index = LocalIndex(GalleryStore(f"sqlite:///{directory / 'galleries.db'}"))
    return RecognitionService(
        LocalDetector(pipeline.detector), LocalExtractor(pipeline.extractor), index, config
    )
