"""Embeds a set's images at several precisions, chunk by chunk, so that all of them are timed in the
same minutes of a machine that may have other work."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import FaceServeError, InvalidRequestError
from serve_app.evaluation.embedding import FAILURES, Embedded
from serve_app.evaluation.figures.all_pairs import Progress
from serve_app.models.extractor import ExtractStage
from serve_app.pipeline import FacePipeline
from serve_app.types import Crop

CHUNK = 8
"""Faces of one timed run."""


@dataclass(slots=True)
class _Course:
    stage: ExtractStage
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)

    def run(self, crops: Mapping[str, Crop]) -> None:
        items = [crop[np.newaxis] for crop in crops.values()]
        start = time.perf_counter()
        answers = self.stage.run(items)
        self.ms.append(1000 * (time.perf_counter() - start) / len(items))
        for name, answer in zip(crops, answers, strict=True):
            if isinstance(answer, FaceServeError):
                self.failures[name] = str(answer)
            else:
                self.vectors[name] = answer.vectors[0]


@dataclass(frozen=True, slots=True)
class Timed:
    """``ms``: of a face, the median of all runs."""

    embedded: Embedded
    ms: float


def crops_of(
    root: Path, names: Sequence[str], pipeline: FacePipeline
) -> tuple[dict[str, Crop], dict[str, str]]:
    """What enrolling the images embeds, and of the others why there is nothing. Raises
    InvalidRequestError for a file that can't be read."""
    crops: dict[str, Crop] = {}
    failures: dict[str, str] = {}
    for name in names:
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise InvalidRequestError(f"{name} can't be read: {error.strerror}") from None
        try:
            crops[name] = pipeline.crop_to_enrol(content)
        except FAILURES as error:
            failures[name] = str(error)
    return crops, failures


def embed_at_each(
    root: Path,
    names: Sequence[str],
    pipeline: FacePipeline,
    stages: Sequence[ExtractStage],
    progress: Progress,
) -> list[Timed]:
    """An answer for each of ``stages``, on the crops that ``pipeline`` makes of the images.

    One thread, each chunk through all stages, back and forth. Raises InvalidRequestError for a file
    that can't be read, or if no image shows a face.
    """
    courses = [_Course(stage) for stage in stages]
    failures: dict[str, str] = {}
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    for number, chunk in enumerate(progress(chunks, "images")):
        crops, failed = crops_of(root, chunk, pipeline)
        failures |= failed
        for course in courses[:: -1 if number % 2 else 1] if crops else []:
            course.run(crops)
    if not all(course.vectors for course in courses):
        raise InvalidRequestError(f"none of the {len(names):,} images can be enrolled")
    return [
        Timed(
            Embedded(course.stage.model_id, course.vectors, failures | course.failures),
            float(np.median(course.ms)),
        )
        for course in courses
    ]
