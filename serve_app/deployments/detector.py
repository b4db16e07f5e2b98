"""Host of the detection stage: image bytes in, faces with crops out. Pixels never travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serve_app.config import Limits, PipelineConfig
from serve_app.deployments.replica import BatchedWorker
from serve_app.errors import FaceServeError
from serve_app.models.detector import DetectItem, DetectStage
from serve_app.models.yunet import DetectSize
from serve_app.models.zoo import open_detector
from serve_app.types import Crop, Face

DetectAnswer = list[Face] | Crop


class Detector:
    def __init__(self, pipeline: PipelineConfig, limits: Limits, cache_dir: Path) -> None:
        size = DetectSize(pipeline.detect_size.smallest, pipeline.detect_size.largest)
        network = open_detector(pipeline.detector, size, cache_dir)
        stage = DetectStage(network, limits.image, pipeline.max_faces)
        self._worker: BatchedWorker[DetectItem, DetectAnswer] = BatchedWorker(
            stage.run, cost=detect_cost
        )

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._worker.configure(user_config)

    async def detect(self, items: Sequence[DetectItem]) -> list[DetectAnswer | FaceServeError]:
        return await self._worker.answer(items)


def detect_cost(item: DetectItem) -> int:
    """One for each started 256 KiB of encoded image: it stands for decoding and caps a message."""
    return 1 + len(item.image) // (256 * 1024)
