"""The detection stage: encoded image in, faces with crops out. Runs in the Detector's replicas and
in the in-process pipeline alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serve_app.errors import FaceServeError
from serve_app.imaging import ImageLimits, decode
from serve_app.models.alignment import crop_face, resize
from serve_app.types import Crop, Detection, Face, Image

logger = logging.getLogger(__name__)


class FaceDetector(Protocol):
    def detect(self, image: Image, threshold: float) -> list[Detection]:
        """Faces with a score above ``threshold``; boxes lie inside the image and are not empty."""
        ...


@dataclass(frozen=True, slots=True)
class DetectItem:
    """One image to look at. ``threshold`` None: don't detect, the whole image is one crop."""

    image: bytes
    threshold: float | None

    @property
    def cost(self) -> int:
        """One for each started 256 KiB of image: it stands for decoding and caps a message."""
        return 1 + len(self.image) // (256 * 1024)


DetectAnswer = list[Face] | Crop
"""Faces, or the one crop of an item without a threshold."""


class DetectStage:
    """Not thread-safe: one thread at a time runs it."""

    def __init__(self, detector: FaceDetector, limits: ImageLimits, max_faces: int) -> None:
        self._detector = detector
        self._limits = limits
        self._max_faces = max_faces

    def detect(self, data: bytes, threshold: float) -> list[Face]:
        """``find`` on an encoded image. Raises InvalidImageError, TooLargeError."""
        return self.find(self.decode(data), threshold)

    def decode(self, data: bytes) -> Image:
        """Raises InvalidImageError, TooLargeError."""
        return decode(data, self._limits)

    def find(self, image: Image, threshold: float) -> list[Face]:
        """Faces above ``threshold``, at most ``max_faces`` of them (the highest scores)."""
        (faces,) = self.find_all([image], threshold)
        return faces

    def find_all(self, images: Sequence[Image], threshold: float) -> list[list[Face]]:
        """``find`` for each image. All are cropped together at the end: between two runs of a
        network that code would be cold in the processor's caches."""
        found = [self._detections(image, threshold) for image in images]
        return [
            [Face(d.box, d.score, crop_face(image, d)) for d in detections]
            for image, detections in zip(images, found, strict=True)
        ]

    def _detections(self, image: Image, threshold: float) -> list[Detection]:
        found = self._detector.detect(image, threshold)
        if len(found) > self._max_faces:
            floor = sorted((d.score for d in found), reverse=True)[self._max_faces - 1]
            found = [d for d in found if d.score >= floor][: self._max_faces]
        return found

    def crop_whole(self, data: bytes) -> Crop:
        """The whole image as a crop. Raises InvalidImageError, TooLargeError."""
        return self.crop(self.decode(data))

    def crop(self, image: Image) -> Crop:
        return resize(image)

    def run(self, items: Sequence[DetectItem]) -> list[DetectAnswer | FaceServeError]:
        """One answer an item, in order. A bad image fails alone, with its error as its answer."""
        return [self._run_one(item) for item in items]

    def _run_one(self, item: DetectItem) -> DetectAnswer | FaceServeError:
        try:
            if item.threshold is None:
                return self.crop_whole(item.image)
            return self.detect(item.image, item.threshold)
        except FaceServeError as error:
            return error
        except Exception as error:
            logger.error("detection failed: %s", type(error).__name__)
            return FaceServeError()
