"""The detection stage: encoded image in, faces with crops out. Runs in the Detector's replicas and
in the in-process pipeline alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serve_app.errors import FaceServeError
from serve_app.imaging import ImageLimits, decode, pixels_told
from serve_app.models.alignment import crop_face, resize
from serve_app.request_context import Spans
from serve_app.types import Crop, Detection, Face, Image

MEGAPIXEL = 1024 * 1024
MOST_PIXELS = 64 * MEGAPIXEL
"""A header may claim anything; what is far over the limits is refused without decoding."""

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
        """``image_cost``, but of a drawing that is packed small what its pixels cost."""
        pixels = min(pixels_told(self.image), MOST_PIXELS)
        return max(image_cost(len(self.image)), 1 + pixels // MEGAPIXEL)


def image_cost(size: int) -> int:
    """Of an image of so many bytes: one for each started 256 KiB. It stands for decoding (a
    photograph has about a megapixel in that) and caps a message."""
    return 1 + size // (256 * 1024)


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

    def run(
        self, items: Sequence[DetectItem], spans: Sequence[Spans]
    ) -> list[DetectAnswer | FaceServeError]:
        """One answer an item, in order, and where its time went into its spans. A bad image fails
        alone, with its error as its answer."""
        return [self._run_one(*pair) for pair in zip(items, spans, strict=True)]

    def _run_one(self, item: DetectItem, spans: Spans) -> DetectAnswer | FaceServeError:
        try:
            with spans.measure("decode"):
                image = self.decode(item.image)
            with spans.measure("detect"):
                return (
                    self.crop(image) if item.threshold is None else self.find(image, item.threshold)
                )
        except FaceServeError as error:
            return error
        except Exception as error:
            logger.error("detection failed: %s", type(error).__name__)
            return FaceServeError()
