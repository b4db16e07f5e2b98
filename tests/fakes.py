"""A fake for each port: in memory, deterministic, from content: the same face, the same vector.

A picture is a row of square cells; a cell that is not black is a face, its colour is its identity.
"""

from __future__ import annotations

import asyncio

import cv2
import numpy as np

from serve_app.errors import (
    FaceServeError,
    FetchError,
    InvalidImageError,
)
from serve_app.imaging import ImageLimits, decode
from serve_app.types import CROP_SIZE, Crop, Crops, Embeddings, Face
from tests.memory_index import MemoryIndex
from tests.memory_jobs import MemoryJobs

__all__ = [
    "BLACK",
    "BLANK",
    "BLUE",
    "DIM_RED",
    "GREEN",
    "RED",
    "FakeDetector",
    "FakeExtractor",
    "FakeFetcher",
    "MemoryIndex",
    "MemoryJobs",
    "picture",
]

CELL = 32
Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)
RED: Colour = (250, 10, 10)
GREEN: Colour = (10, 250, 10)
BLUE: Colour = (10, 10, 250)
DIM_RED: Colour = (100, 4, 4)
BLANK: Colour = (0, 0, 1)
"""A face for the detector that the extractor can't embed."""


def picture(*colours: Colour) -> bytes:
    """PNG of a row of cells."""
    pixels = np.zeros((CELL, CELL * len(colours), 3), dtype=np.uint8)
    for position, colour in enumerate(colours):
        pixels[:, position * CELL : (position + 1) * CELL] = colour
    ok, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    assert ok
    return bytes(encoded.tobytes())


class FakeDetector:
    """A face's score is its brightest channel, 0..1; BLANK counts as bright.

    ``failure`` is raised by every call. ``gate`` holds calls back until it is set.
    """

    def __init__(self, limits: ImageLimits | None = None) -> None:
        self._limits = limits or ImageLimits()
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.calls = 0
        self.cancelled = 0
        self.under_way = 0
        self.most_under_way = 0

    async def detect(self, image: bytes, threshold: float) -> list[Face]:
        await self._pass_gate()
        pixels = decode(image, self._limits)
        faces = []
        for left in range(0, pixels.shape[1], CELL):
            cell = pixels[:, left : left + CELL]
            colour = tuple(int(channel) for channel in cell[0, 0])
            score = 1.0 if colour == BLANK else max(colour) / 255
            if colour != BLACK and score > threshold:
                box = (float(left), 0.0, float(left + CELL), float(CELL))
                faces.append(Face(box, score, _stretched(cell)))
        return faces

    async def crop_whole(self, image: bytes) -> Crop:
        await self._pass_gate()
        return _stretched(decode(image, self._limits))

    async def _pass_gate(self) -> None:
        self.calls += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            if self.failure is not None:
                raise self.failure
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1


class FakeExtractor:
    """The mean colour as a unit vector (3,). ``calls``: number of crops of each call."""

    def __init__(self, model_id: str = "fake@1") -> None:
        self.model_id = model_id
        self.calls: list[int] = []

    async def extract(self, crops: Crops) -> Embeddings:
        self.calls.append(len(crops))
        means = crops.reshape(len(crops), -1, 3).mean(axis=1).astype(np.float32)
        means[(means < 2).all(axis=1)] = 0
        norms = np.linalg.norm(means, axis=1, keepdims=True)
        if not norms.all():
            raise InvalidImageError("face can't be embedded: its crop is blank")
        return Embeddings(self.model_id, means / norms)


class FakeFetcher:
    """Answers from a table; a URL that is not in it can't be read."""

    def __init__(self, answers: dict[str, bytes | FaceServeError] | None = None) -> None:
        self._answers = answers or {}
        self.closed = False

    async def fetch(self, url: str) -> bytes:
        answer = self._answers.get(url, FetchError("the host did not answer"))
        if isinstance(answer, FaceServeError):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def _stretched(pixels: np.ndarray) -> Crop:
    return np.asarray(cv2.resize(pixels, (CROP_SIZE, CROP_SIZE)), dtype=np.uint8)
