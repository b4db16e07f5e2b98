"""What a job's actors do: parts of the input to crops, crops to embeddings.

The stages are those of the service, so the vectors are too. A row that can't be enrolled carries
its fault along; nothing else stops a part. Knows neither Ray nor what becomes of the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.config import Limits, PipelineConfig
from serve_app.errors import (
    FaceServeError,
    FetchError,
    InvalidImageError,
    InvalidRequestError,
    NoFaceError,
    SeveralFacesError,
    TooLargeError,
)
from serve_app.imaging import leave_threads_to_callers
from serve_app.jobs.inputs.reading import ImageReader
from serve_app.jobs.inputs.rows import ImageInput, ImageRow
from serve_app.models.detector import DetectStage
from serve_app.models.zoo.opening import Watch, open_detector, open_extractor
from serve_app.pipeline.stages import crop_to_enrol
from serve_app.priority import step_aside
from serve_app.types import CROP_SIZE, Crop

Columns = dict[str, NDArray[Any]]
"""A column for each fact of N rows: ``position`` (N,) int64, ``id`` (N,) int64, -1 where the input
gives none, ``source``, ``label``, ``fault`` (N,) text, ``digest`` (N,) bytes of BLAKE2b, empty
where the image could not be read; then ``crop`` (N, 112, 112, 3) uint8 or ``vector`` (N, D)
float32, zeros where there is a fault."""

NO_ID = -1
DIGEST_BYTES = 16
ROW_FAULTS = (
    InvalidRequestError,
    InvalidImageError,
    NoFaceError,
    SeveralFacesError,
    FetchError,
    TooLargeError,
)
"""One image's own. Any other error (a model that fails) ends the job."""

Part = tuple[int, int]
"""Positions ``start <= p < stop`` of the input."""


class FaceFinder:
    """Reads the images of a part, finds the face to enrol in each and cuts it out.

    ``part_of``: the part that a number stands for. Raises ConfigError, ModelError.
    """

    def __init__(
        self,
        rows: ImageInput,
        part_of: Callable[[int], Part],
        open_reader: Callable[[], ImageReader],
        pipeline: PipelineConfig,
        limits: Limits,
        cache_dir: Path,
        watch: Watch,
    ) -> None:
        step_aside()
        leave_threads_to_callers()
        self._rows = rows
        self._part_of = part_of
        self._reader = open_reader()
        self._pipeline = pipeline
        detector = open_detector(pipeline, cache_dir, watch)
        self._stage = DetectStage(detector, limits.image, pipeline.max_faces)

    def __call__(self, batch: Columns) -> Iterator[Columns]:
        """Columns with ``crop`` of each part that ``batch["id"]`` numbers. Raises
        InvalidRequestError for a table that is damaged; UnavailableError, FetchError."""
        for number in batch["id"].tolist():
            rows = list(self._rows.rows(*self._part_of(number)))
            yield self._columns(rows)

    def _columns(self, rows: Sequence[ImageRow]) -> Columns:
        crops = np.zeros((len(rows), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        faults: list[str] = []
        digests: list[bytes] = []
        for place, (row, image) in enumerate(zip(rows, self._reader.images(rows), strict=True)):
            found = self._crop(row, image)
            if isinstance(found, FaceServeError):
                faults.append(str(found))
            else:
                faults.append("")
                crops[place] = found
            digests.append(digest_of(image))
        return {
            "position": np.array([row.position for row in rows], dtype=np.int64),
            "id": np.array([NO_ID if row.id is None else row.id for row in rows], dtype=np.int64),
            "source": np.array([row.source for row in rows], dtype=object),
            "label": np.array([row.label for row in rows], dtype=object),
            "fault": np.array(faults, dtype=object),
            "digest": np.array(digests, dtype=object),
            "crop": crops,
        }

    def _crop(self, row: ImageRow, image: bytes | FaceServeError) -> Crop | FaceServeError:
        if row.fault is not None:
            return InvalidRequestError(row.fault)
        if isinstance(image, FaceServeError):
            return image
        try:
            return crop_to_enrol(self._stage, self._pipeline, image)
        except ROW_FAULTS as error:
            return error


class FaceEmbedder:
    """Crops to vectors. Raises ConfigError, ModelError."""

    def __init__(self, pipeline: PipelineConfig, cache_dir: Path, watch: Watch) -> None:
        step_aside()
        self._stage = open_extractor(pipeline, cache_dir, watch)

    def __call__(self, batch: Columns) -> Columns:
        """``crop`` becomes ``vector``; crops without a usable vector are faults."""
        faults = list(batch["fault"])
        vectors = np.zeros((len(faults), self._stage.dimension), dtype=np.float32)
        places = [place for place, fault in enumerate(faults) if not fault]
        crops = batch["crop"]
        answers = self._stage.run([crops[place : place + 1] for place in places]) if places else []
        for place, answer in zip(places, answers, strict=True):
            if isinstance(answer, FaceServeError):
                faults[place] = str(answer)
            else:
                vectors[place] = answer.vectors[0]
        kept = {name: column for name, column in batch.items() if name != "crop"}
        return {**kept, "fault": np.array(faults, dtype=object), "vector": vectors}


def digest_of(image: bytes | FaceServeError) -> bytes:
    """What the same image again is known by."""
    if isinstance(image, FaceServeError):
        return b""
    return hashlib.blake2b(image, digest_size=DIGEST_BYTES).digest()
