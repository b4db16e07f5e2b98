"""The stages before the index, in the calling process: encoded image in, embeddings out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve_app.config import Limits, PipelineConfig
from serve_app.models.detector import DetectStage
from serve_app.models.extractor import ExtractStage
from serve_app.models.zoo.opening import open_detector, open_extractor
from serve_app.policy import face_to_enrol
from serve_app.types import Embeddings, Face


@dataclass(frozen=True, slots=True)
class FacePipeline:
    """Detection and feature extraction as ``config`` says. Not thread-safe: one for each thread."""

    config: PipelineConfig
    detector: DetectStage
    extractor: ExtractStage

    def detect(self, image: bytes) -> list[Face]:
        """Faces of an encoded image. Raises InvalidImageError, TooLargeError."""
        return self.detector.detect(image, self.config.det_threshold)

    def embed_for_enrolment(self, image: bytes) -> Embeddings:
        """The one embedding, (1, D), that enrolling ``image`` stores.

        Raises NoFaceError, SeveralFacesError as the configuration says, InvalidImageError.
        """
        if self.config.enrol.detect:
            crop = face_to_enrol(self.detect(image), self.config.enrol.faces).crop
        else:
            crop = self.detector.crop_whole(image)
        return self.extractor.extract(crop[np.newaxis])


def open_pipeline(config: PipelineConfig, cache_dir: Path) -> FacePipeline:
    """Load both networks. Raises ConfigError, ModelError."""
    detector = open_detector(config, cache_dir)
    return FacePipeline(
        config,
        DetectStage(detector, Limits().image, config.max_faces),
        open_extractor(config, cache_dir),
    )
