"""Embeds a set's images, each once, as enrolment would, in several threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import (
    InvalidImageError,
    InvalidRequestError,
    NoFaceError,
    SeveralFacesError,
    TooLargeError,
)
from serve_app.evaluation.figures.all_pairs import Progress
from serve_app.pipeline import FacePipeline
from serve_app.pipeline.pool import StagePool

FAILURES = (NoFaceError, SeveralFacesError, InvalidImageError, TooLargeError)
"""What is wrong with an image, not with the pipeline."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """``vectors``: (D,) float32 of unit length by image, without the images of ``failures``, which
    says why."""

    model_id: str
    vectors: Mapping[str, NDArray[np.float32]]
    failures: Mapping[str, str]


def embed_images(
    root: Path,
    names: Sequence[str],
    open_pipeline: Callable[[], FacePipeline],
    *,
    workers: int,
    progress: Progress,
) -> Embedded:
    """Raises InvalidRequestError for a file that can't be read, or if no image shows a face;
    ConfigError, ModelError."""
    pipelines = StagePool(open_pipeline)  # a pipeline is not thread-safe: each worker has its own

    def embed(name: str) -> NDArray[np.float32] | str:
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise InvalidRequestError(f"{name} can't be read: {error.strerror}") from None
        try:
            with pipelines.borrow() as pipeline:
                return np.asarray(pipeline.embed_for_enrolment(content).vectors[0])
        except FAILURES as error:
            return str(error)

    vectors: dict[str, NDArray[np.float32]] = {}
    failures: dict[str, str] = {}
    pool = ThreadPoolExecutor(workers)
    try:
        results = pool.map(embed, names)
        for name in progress(names, "images"):
            result = next(results)
            if isinstance(result, str):
                failures[name] = result
            else:
                vectors[name] = result
    finally:
        pool.shutdown(cancel_futures=True)  # an error or Ctrl-C doesn't wait for the rest
    if not vectors:
        raise InvalidRequestError(
            f"none of the {len(names):,} images can be enrolled; {names[0]}: {failures[names[0]]}"
        )
    return Embedded(pipelines.model_id, vectors, failures)
