"""Host of the feature stage: crops in, embeddings out, in batches across requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serve_app.config import PipelineConfig
from serve_app.deployments.replica import BatchedWorker
from serve_app.errors import FaceServeError
from serve_app.models.zoo.opening import Watch, open_extractor, unwatched
from serve_app.types import Crops, Embeddings


class Extractor:
    def __init__(self, pipeline: PipelineConfig, cache_dir: Path, watch: Watch = unwatched) -> None:
        stage = open_extractor(pipeline, cache_dir, watch)
        self._worker: BatchedWorker[Crops, Embeddings] = BatchedWorker(stage.run, cost=len)

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._worker.configure(user_config)

    async def extract(self, items: Sequence[Crops]) -> list[Embeddings | FaceServeError]:
        """Each item is all crops of one image: a face more in the same call costs no hop."""
        return await self._worker.answer(items)
