"""The ports of the networks over Ray handles: calls of several requests are coalesced."""

from __future__ import annotations

import numpy as np
from ray.serve.handle import DeploymentHandle

from serve_app.batching import Admission, Batcher
from serve_app.config import BatchSettings
from serve_app.deployments.metrics import Meters
from serve_app.deployments.stage_caller import StageCaller
from serve_app.models.detector import DetectAnswer, DetectItem, image_cost
from serve_app.request_context import current_request
from serve_app.service import in_flight
from serve_app.service.embedding import joined
from serve_app.types import (
    Crop,
    Crops,
    Embeddings,
    Face,
)


class RayDetector:
    """The first stage of what needs the networks: new requests pass ``admission`` here."""

    def __init__(
        self, handle: DeploymentHandle, timeout_s: float, admission: Admission, meters: Meters
    ) -> None:
        self._stage = StageCaller("detector", handle, timeout_s)
        self._admission = admission
        self._batcher: Batcher[DetectItem, DetectAnswer] = Batcher(
            self._stage.sender("detect"),
            BatchSettings(),
            cost=lambda item: item.cost,
            retry=True,
            abandon=True,
            observe=meters.batches("detector", "ingress"),
        )
        admission.watch(self._batcher, image_cost)

    @property
    def queued_cost(self) -> int:
        return self._batcher.queued_cost

    def configure(self, settings: BatchSettings) -> None:
        self._batcher.configure(settings)

    async def detect(self, image: bytes, threshold: float) -> list[Face]:
        faces = await self._ask(DetectItem(image, threshold))
        assert isinstance(faces, list)
        return faces

    async def crop_whole(self, image: bytes) -> Crop:
        crop = await self._ask(DetectItem(image, None))
        assert isinstance(crop, np.ndarray)
        return crop

    async def _ask(self, item: DetectItem) -> DetectAnswer:
        request = current_request()
        self._admission.let_in(request, len(item.image))
        return await self._batcher.submit(item, request)


class RayExtractor:
    """Crops of one image are sent in even parts of at most a batch's cost: other requests get their
    turn between them, and all replicas work on a large one."""

    def __init__(
        self, handle: DeploymentHandle, timeout_s: float, admission: Admission, meters: Meters
    ) -> None:
        self._stage = StageCaller("extractor", handle, timeout_s)
        self._batcher: Batcher[Crops, Embeddings] = Batcher(
            self._stage.sender("extract"),
            BatchSettings(),
            cost=len,
            retry=True,
            together=True,
            abandon=True,
            observe=meters.batches("extractor", "ingress"),
        )
        admission.watch(self._batcher)

    @property
    def queued_cost(self) -> int:
        return self._batcher.queued_cost

    def configure(self, settings: BatchSettings) -> None:
        self._batcher.configure(settings)

    async def extract(self, crops: Crops) -> Embeddings:
        """Raises UnavailableError if the parts came of two models."""
        request = current_request()
        parts = np.array_split(crops, -(-len(crops) // self._batcher.max_cost))
        if len(parts) == 1:
            return await self._batcher.submit(crops, request)
        return joined(
            await in_flight(lambda part: self._batcher.submit(part, request), parts, len(parts))
        )
