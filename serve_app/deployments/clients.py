"""The ports of the networks over Ray handles: calls are coalesced, remote errors become ours.

A remote error's text holds a traceback, a pid and an address: none of it leaves this module.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app.batching import Batcher
from serve_app.config import BatchSettings
from serve_app.errors import FaceServeError, OverloadedError, UnavailableError
from serve_app.models.detector import DetectAnswer, DetectItem
from serve_app.types import (
    Crop,
    Crops,
    Embeddings,
    Face,
)

logger = logging.getLogger(__name__)

RETRY = "try again shortly"


class StageCaller:
    """Calls one deployment. ``timeout_s`` bounds a call, so that a hung replica frees its slot."""

    def __init__(self, stage: str, handle: DeploymentHandle, timeout_s: float) -> None:
        self._stage = stage
        self._handle = handle
        self._timeout_s = timeout_s

    async def call(self, method: str, *args: object, advice: str = RETRY) -> Any:
        """Raises OverloadedError, UnavailableError (the replica died, hung or is not there yet);
        ``advice`` tells the caller what to do then."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await getattr(self._handle, method).remote(*args)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this call was cancelled but Ray's reply to it.
            raise UnavailableError(f"{self._stage} is unavailable; {advice}") from None
        except BackPressureError:
            raise OverloadedError(f"{self._stage} is over capacity; try again shortly") from None
        except (RayError, RayServeException, TimeoutError, ConnectionError) as error:
            logger.warning("%s unavailable: %s", self._stage, type(error).__name__)
            raise UnavailableError(f"{self._stage} is unavailable; {advice}") from None
        except Exception as error:
            if type(error).__module__.startswith("grpc"):
                logger.warning("%s unavailable: %s", self._stage, type(error).__name__)
                raise UnavailableError(f"{self._stage} is unavailable; {advice}") from None
            logger.error("call to %s failed: %s", self._stage, type(error).__name__)
            raise FaceServeError from None


class RayDetector:
    def __init__(self, handle: DeploymentHandle, timeout_s: float) -> None:
        self._stage = StageCaller("detector", handle, timeout_s)
        self._batcher: Batcher[DetectItem, DetectAnswer] = Batcher(
            self._send, BatchSettings(), cost=lambda item: item.cost, retry=True
        )

    def configure(self, settings: BatchSettings) -> None:
        self._batcher.configure(settings)

    async def detect(self, image: bytes, threshold: float) -> list[Face]:
        faces = await self._batcher.submit(DetectItem(image, threshold))
        assert isinstance(faces, list)
        return faces

    async def crop_whole(self, image: bytes) -> Crop:
        crop = await self._batcher.submit(DetectItem(image, None))
        assert isinstance(crop, np.ndarray)
        return crop

    async def _send(self, items: list[DetectItem]) -> list[DetectAnswer | FaceServeError]:
        answers: list[DetectAnswer | FaceServeError] = await self._stage.call("detect", items)
        return answers


class RayExtractor:
    def __init__(self, handle: DeploymentHandle, timeout_s: float) -> None:
        self._stage = StageCaller("extractor", handle, timeout_s)
        self._batcher: Batcher[Crops, Embeddings] = Batcher(
            self._send, BatchSettings(), cost=len, retry=True
        )

    def configure(self, settings: BatchSettings) -> None:
        self._batcher.configure(settings)

    async def extract(self, crops: Crops) -> Embeddings:
        return await self._batcher.submit(crops)

    async def _send(self, items: list[Crops]) -> list[Embeddings | FaceServeError]:
        answers: list[Embeddings | FaceServeError] = await self._stage.call("extract", items)
        return answers
