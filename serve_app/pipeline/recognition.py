"""Images to results: detect, embed and search a few images together. Knows one gallery and the
thresholds of one call of ``predict``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from serve_app import policy
from serve_app.errors import FaceServeError
from serve_app.index.index_data import IndexData
from serve_app.models.photograph import Photograph
from serve_app.pipeline.inputs import Input
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.results import FaceResult, SavedNames, face_box
from serve_app.pipeline.stages import FacePipeline
from serve_app.pipeline.timings import Laps, Timings
from serve_app.policy import ThresholdRule
from serve_app.types import Candidate, Embeddings, Face

MOST_DECODED = 16_000_000
"""Bytes of pixels that a worker holds at once, but for one image: a few small pictures are decoded
in one go, as a network in between empties the processor's caches."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one call asks for. ``rec_threshold`` None: the pipeline's, a cosine, in the terms of the
    gallery's metric; else in the metric's own terms."""

    det_threshold: float
    rec_threshold: float | None
    default_threshold: float
    top_k: int
    rule: ThresholdRule
    skip_bad: bool


class Recogniser:
    """``recognise`` may run in several threads at once."""

    def __init__(self, pool: StagePool, index: IndexData, asked: Asked, timings: Timings) -> None:
        self._pool = pool
        self._timings = timings
        self._index = index
        self._asked = asked
        self._names = SavedNames()

    def recognise(self, part: Sequence[Input]) -> list[FaceResult | FaceServeError]:
        """A result for each input. One that can't be read is left out with a warning if that was
        asked for; else its error, which names it, stands in its place and is the last."""
        failure: FaceServeError | None = None
        read: list[Input] = []
        found: list[list[Face]] = []
        with self._pool.borrow() as stages:
            laps = Laps()
            images: list[Photograph] = []
            for one in part:
                try:
                    images.append(stages.detector.read(one.read()))
                    read.append(one)
                except FaceServeError as error:
                    if not self._asked.skip_bad:
                        failure = type(error)(f"{one.where}: {error}")
                        break
                    logger.warning("left out: %s: %s", one.where, error)
                if sum(image.pixels.size for image in images) > MOST_DECODED:
                    found += self._faces(images, stages, laps)
            found += self._faces(images, stages, laps)
            embedded = stages.embed([face.crop for faces in found for face in faces])
            laps.lap("embed")
        accepted = iter(self._candidates(embedded))
        laps.lap("search")
        self._timings.add(len(read), len(embedded), laps.stages)
        results: list[FaceResult | FaceServeError] = [
            FaceResult(
                one.path,
                one.name,
                [face_box(face.box, face.score, next(accepted)) for face in faces],
                one.pixels,
                self._names,
            )
            for one, faces in zip(read, found, strict=True)
        ]
        return results if failure is None else [*results, failure]

    def _faces(
        self, images: list[Photograph], stages: FacePipeline, laps: Laps
    ) -> list[list[Face]]:
        """The faces of ``images``, which is emptied."""
        laps.lap("read and decode")
        faces = stages.detector.find_all(images, self._asked.det_threshold)
        images.clear()
        laps.lap("detect and crop")
        return faces

    def _candidates(self, embedded: Sequence[Embeddings | FaceServeError]) -> list[list[Candidate]]:
        """The accepted candidates of each face; a face that can't be embedded has none."""
        usable = [one for one in embedded if isinstance(one, Embeddings)]
        if not usable or self._asked.top_k == 0:
            return [[] for _ in embedded]
        vectors = np.concatenate([one.vectors for one in usable])
        probes = replace(usable[0], vectors=vectors)  # of one extractor, all of them
        result = self._index.search(probes, self._asked.top_k)
        threshold = self._asked.rec_threshold
        if threshold is None:
            threshold = policy.default_threshold(self._asked.default_threshold, result.metric)
        accepted = iter(
            policy.accepted(candidates, threshold, result.metric, self._asked.rule)
            for candidates in result.candidates
        )
        return [next(accepted) if isinstance(one, Embeddings) else [] for one in embedded]
