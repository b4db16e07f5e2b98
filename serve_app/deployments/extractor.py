"""Host of the feature stage: crops in, embeddings out, in batches across requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serve_app.config import ObservabilityConfig, PipelineConfig
from serve_app.deployments.calls import CallId, StageCall, StageReply
from serve_app.deployments.metrics import open_meters
from serve_app.deployments.replica import BatchedWorker, timed
from serve_app.models.zoo.opening import Watch, open_extractor, unwatched
from serve_app.tracing import open_tracing
from serve_app.types import Crops, Embeddings


class Extractor:
    def __init__(
        self,
        pipeline: PipelineConfig,
        cache_dir: Path,
        observability: ObservabilityConfig,
        watch: Watch = unwatched,
    ) -> None:
        stage = open_extractor(pipeline, cache_dir, watch)
        self._worker: BatchedWorker[Crops, Embeddings] = BatchedWorker(
            timed("extract", stage.run),
            cost=len,
            observe=open_meters(observability.metrics).batches("extractor", "replica"),
            tracing=open_tracing(observability.tracing, "extractor"),
        )

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._worker.configure(user_config)

    async def ready(self) -> None:
        """It has its network, or it would not be here, and its event loop runs."""

    async def extract(self, call: StageCall[Crops]) -> StageReply[Embeddings]:
        """Each item is crops of one image: a face more in the same call costs no hop."""
        return await self._worker.answer(call)

    async def forget(self, gone: Sequence[tuple[CallId, int]]) -> None:
        self._worker.forget(gone)
