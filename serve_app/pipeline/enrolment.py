"""Gallery images to templates: every one, or none and an error that names each that failed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np
from tqdm import tqdm

from serve_app.errors import FaceServeError, RejectedPairsError
from serve_app.pipeline.annotation import GalleryImage
from serve_app.pipeline.faults import listed
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.stages import FacePipeline
from serve_app.pipeline.streaming import stream
from serve_app.types import Crop, Embeddings

Outcome = Embeddings | FaceServeError


def embed_gallery(
    images: Sequence[GalleryImage], pool: StagePool, *, workers: int, chunk: int
) -> tuple[list[str], Embeddings]:
    """Labels and embeddings (N, D) of N images, in their order. Shows a bar on a terminal.

    Raises RejectedPairsError that names the images which can't be read or show no face.
    """

    def work(part: list[GalleryImage]) -> list[Outcome]:
        with pool.borrow() as stages:
            return _embed(part, stages)

    labels: list[str] = []
    vectors = np.empty((len(images), pool.dimension), dtype=np.float32)
    failures: list[str] = []
    outcomes = stream(images, work, workers=workers, chunk=chunk)
    for image, outcome in zip(images, _shown(outcomes, len(images)), strict=True):
        if isinstance(outcome, FaceServeError):
            failures.append(f"{image.where}: {outcome}")
            continue
        vectors[len(labels)] = outcome.vectors[0]
        labels.append(image.label)
    if failures:
        raise RejectedPairsError(_message(failures, len(images)))
    return labels, Embeddings(pool.model_id, vectors, pool.compatible_with)


def _embed(part: Sequence[GalleryImage], stages: FacePipeline) -> list[Outcome]:
    cropped = [_crop(image, stages) for image in part]
    embedded = iter(stages.embed([crop for crop in cropped if isinstance(crop, np.ndarray)]))
    return [next(embedded) if isinstance(crop, np.ndarray) else crop for crop in cropped]


def _crop(image: GalleryImage, stages: FacePipeline) -> Crop | FaceServeError:
    try:
        return stages.crop_to_enrol(image.image.read())
    except FaceServeError as error:
        return error


def _shown(outcomes: Iterable[Outcome], total: int) -> Iterable[Outcome]:
    """A bar on standard error, if that is a terminal and the work takes longer than a second."""
    shown: Iterable[Outcome] = tqdm(
        outcomes, total=total, unit="image", desc="enrolling", disable=None, delay=1,
        file=sys.stderr,
    )  # fmt: skip
    return shown


def _message(failures: Sequence[str], total: int) -> str:
    return f"nothing was enrolled, {len(failures)} of {total} images failed:\n{listed(failures)}"
