"""The detection stage: encoded image in, faces with crops out. Runs in the Detector's replicas and
in the in-process pipeline alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serve_app.errors import FaceServeError
from serve_app.imaging import ImageLimits, decode, pixels_told
from serve_app.models.alignment import resize
from serve_app.models.photograph import MEASURED, Margins, Photograph, of_file, of_pixels
from serve_app.request_context import Spans
from serve_app.types import Crop, Detection, Face, Image

MEGAPIXEL = 1024 * 1024
MOST_PIXELS = 64 * MEGAPIXEL
"""A header may claim anything; what is far over the limits is refused without decoding."""

logger = logging.getLogger(__name__)


class FaceDetector(Protocol):
    @property
    def sees(self) -> int | None:
        """The long side in pixels to which it shrinks larger images itself, averaging; None for one
        that must have images whole."""
        ...

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
    """Not thread-safe: one thread at a time runs it. Large JPEGs are decoded smaller as ``margins``
    say; None: every image is decoded whole."""

    def __init__(
        self,
        detector: FaceDetector,
        limits: ImageLimits,
        max_faces: int,
        margins: Margins | None = MEASURED,
    ) -> None:
        self._detector = detector
        self._limits = limits
        self._max_faces = max_faces
        self._margins = margins

    def detect(self, data: bytes, threshold: float) -> list[Face]:
        """``find`` on an encoded image. Raises InvalidImageError, TooLargeError."""
        return self.find(self.read(data), threshold)

    def read(self, source: bytes | Image) -> Photograph:
        """An encoded image, as large as the detector needs it, or pixels (H, W, 3) uint8 RGB.

        Raises InvalidImageError, TooLargeError.
        """
        if not isinstance(source, bytes):
            return of_pixels(source)
        sees = self._detector.sees
        least = None if self._margins is None or sees is None else self._margins.detect * sees
        return of_file(source, self._limits, least)

    def find(self, photograph: Photograph, threshold: float) -> list[Face]:
        """Faces above ``threshold``, at most ``max_faces`` of them (the highest scores), boxes in
        pixels of the original. Raises InvalidImageError."""
        (faces,) = self.find_all([photograph], threshold)
        return faces

    def find_all(self, photographs: Sequence[Photograph], threshold: float) -> list[list[Face]]:
        """``find`` for each image. All are cropped together at the end: between two runs of a
        network that code would be cold in the processor's caches."""
        found = [self._detections(photograph, threshold) for photograph in photographs]
        return [
            _faces(self._sharp(photograph, detections), detections)
            for photograph, detections in zip(photographs, found, strict=True)
        ]

    def _detections(self, photograph: Photograph, threshold: float) -> list[Detection]:
        found = photograph.in_original(self._detector.detect(photograph.pixels, threshold))
        if len(found) > self._max_faces:
            floor = sorted((d.score for d in found), reverse=True)[self._max_faces - 1]
            found = [d for d in found if d.score >= floor][: self._max_faces]
        return found

    def _sharp(self, photograph: Photograph, detections: Sequence[Detection]) -> Photograph:
        if self._margins is None:
            return photograph
        return photograph.sharp_for(detections, self._margins.crop)

    def detect_timed(self, data: bytes, threshold: float, spans: Spans) -> list[Face]:
        """``detect``, both times that it decodes in the one span."""
        with spans.measure("decode"):
            photograph = self.read(data)
        with spans.measure("detect"):
            detections = self._detections(photograph, threshold)
        with spans.measure("decode"):
            photograph = self._sharp(photograph, detections)
        with spans.measure("detect"):
            return _faces(photograph, detections)

    def crop_whole(self, source: bytes | Image) -> Crop:
        """The whole image, encoded or its pixels, as a crop. Never of a reduced one: resizing
        samples it. Raises InvalidImageError, TooLargeError."""
        return resize(decode(source, self._limits) if isinstance(source, bytes) else source)

    def run(
        self, items: Sequence[DetectItem], spans: Sequence[Spans]
    ) -> list[DetectAnswer | FaceServeError]:
        """One answer an item, in order, and where its time went into its spans. A bad image fails
        alone, with its error as its answer."""
        return [self._run_one(*pair) for pair in zip(items, spans, strict=True)]

    def _run_one(self, item: DetectItem, spans: Spans) -> DetectAnswer | FaceServeError:
        try:
            if item.threshold is None:
                with spans.measure("decode"):
                    pixels = decode(item.image, self._limits)
                with spans.measure("detect"):
                    return resize(pixels)
            return self.detect_timed(item.image, item.threshold, spans)
        except FaceServeError as error:
            return error
        except Exception as error:
            logger.error("detection failed: %s", type(error).__name__)
            return FaceServeError()


def _faces(photograph: Photograph, detections: Sequence[Detection]) -> list[Face]:
    return [Face(one.box, one.score, photograph.crop(one)) for one in detections]
