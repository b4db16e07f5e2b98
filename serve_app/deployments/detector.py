"""Host of the detection stage: image bytes in, faces with crops out. Pixels never travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serve_app.config import Limits, ObservabilityConfig, PipelineConfig
from serve_app.deployments.calls import CallId, StageCall, StageReply
from serve_app.deployments.metrics import open_meters
from serve_app.deployments.replica import BatchedWorker
from serve_app.imaging import leave_threads_to_callers
from serve_app.models.detector import DetectAnswer, DetectItem, DetectStage
from serve_app.models.zoo.opening import Watch, open_detector, unwatched
from serve_app.tracing import open_tracing


class Detector:
    def __init__(
        self,
        pipeline: PipelineConfig,
        limits: Limits,
        cache_dir: Path,
        observability: ObservabilityConfig,
        watch: Watch = unwatched,
    ) -> None:
        leave_threads_to_callers()
        network = open_detector(pipeline, cache_dir, watch)
        stage = DetectStage(network, limits.image, pipeline.max_faces)
        self._worker: BatchedWorker[DetectItem, DetectAnswer] = BatchedWorker(
            stage.run,
            cost=lambda item: item.cost,
            singly=True,
            observe=open_meters(observability.metrics).batches("detector", "replica"),
            tracing=open_tracing(observability.tracing, "detector"),
        )

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._worker.configure(user_config)

    async def ready(self) -> None:
        """It has its network, or it would not be here, and its event loop runs."""

    async def detect(self, call: StageCall[DetectItem]) -> StageReply[DetectAnswer]:
        return await self._worker.answer(call)

    async def forget(self, gone: Sequence[tuple[CallId, int]]) -> None:
        self._worker.forget(gone)
