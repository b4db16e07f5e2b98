"""The stages before the index, in the calling process: images in, faces and embeddings out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve_app.config import Limits, PipelineConfig
from serve_app.errors import FaceServeError
from serve_app.imaging import ImageLimits
from serve_app.models.detector import DetectStage
from serve_app.models.extractor import ExtractStage
from serve_app.models.zoo.opening import Watch, open_detector, open_extractor, unwatched
from serve_app.policy import face_to_enrol
from serve_app.types import Crop, Embeddings, Face, Image

Source = bytes | Image
"""An encoded image, or its pixels (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class FacePipeline:
    """Detection and feature extraction as ``config`` says. Not thread-safe: one for each thread."""

    config: PipelineConfig
    detector: DetectStage
    extractor: ExtractStage

    def detect(self, image: Source, threshold: float | None = None) -> list[Face]:
        """Faces of an image above ``threshold``, left out the configuration's.

        Raises InvalidImageError, TooLargeError.
        """
        threshold = self.config.det_threshold if threshold is None else threshold
        return self.detector.find(self.detector.read(image), threshold)

    def embed(self, crops: Sequence[Crop]) -> list[Embeddings | FaceServeError]:
        """One embedding (1, D) of each crop, in as few runs as fit; a bad crop fails alone."""
        return self.extractor.run([crop[np.newaxis] for crop in crops]) if crops else []

    def crop_to_enrol(self, image: Source) -> Crop:
        """The part of an image that enrolling it embeds.

        Raises NoFaceError, SeveralFacesError as the configuration says, InvalidImageError,
        TooLargeError.
        """
        return crop_to_enrol(self.detector, self.config, image)

    def embed_for_enrolment(self, image: Source) -> Embeddings:
        """The one embedding, (1, D), that enrolling ``image`` stores. Raises as
        ``crop_to_enrol``."""
        return self.extractor.extract(self.crop_to_enrol(image)[np.newaxis])


def crop_to_enrol(detector: DetectStage, config: PipelineConfig, image: Source) -> Crop:
    """The part of an image that enrolling it embeds, as ``config`` says. Raises NoFaceError,
    SeveralFacesError, InvalidImageError, TooLargeError."""
    if not config.enrol.detect:
        return detector.crop_whole(image)
    faces = detector.find(detector.read(image), config.det_threshold)
    return face_to_enrol(faces, config.enrol.faces).crop


def open_pipeline(
    config: PipelineConfig,
    cache_dir: Path,
    limits: ImageLimits | None = None,
    watch: Watch = unwatched,
) -> FacePipeline:
    """Load both networks. ``limits``: of an image, left out a service's.

    Raises ConfigError, ModelError.
    """
    detector = open_detector(config, cache_dir, watch)
    return FacePipeline(
        config,
        DetectStage(detector, limits or Limits().image, config.max_faces),
        open_extractor(config, cache_dir, watch),
    )
