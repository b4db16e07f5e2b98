"""Images and labels to templates: all or nothing, or the good ones and a list of the rest.

Owns which errors are one pair's fault and how they are told. Must not know galleries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from serve_app import policy
from serve_app.config import PipelineConfig
from serve_app.errors import (
    FaceServeError,
    FetchError,
    InvalidImageError,
    InvalidRequestError,
    NoFaceError,
    RejectedPairsError,
    SeveralFacesError,
    TooLargeError,
)
from serve_app.ports import Detector, Extractor
from serve_app.service.concurrency import IMAGES_IN_FLIGHT, in_flight
from serve_app.service.embedding import embed
from serve_app.service.rejections import Rejection
from serve_app.types import Crop, Embeddings

Pair = tuple[bytes | FaceServeError, str]
"""An encoded image, or why there is none, and its label."""

Pairs = Sequence[Pair] | Callable[[], Awaitable[Sequence[Pair]]]
"""Pairs, or what reads them: a retry that was answered before needs none of its images."""

PAIR_ERRORS = (
    InvalidRequestError,
    InvalidImageError,
    NoFaceError,
    SeveralFacesError,
    FetchError,
    TooLargeError,
)
"""Errors that are one pair's fault. Any other (a full queue, a dead stage) ends the request."""

CROPS_A_CALL = 64
"""Crops of one extractor call: 2.4 MB, and other requests get their turn between two calls."""


@dataclass(frozen=True, slots=True)
class Templates:
    """What is ready to be enrolled (at least one), and what is not."""

    labels: list[str]
    embeddings: Embeddings
    rejected: list[Rejection]


async def make_templates(
    detector: Detector,
    extractor: Extractor,
    config: PipelineConfig,
    source: Pairs,
    *,
    skip: bool,
) -> Templates:
    """Templates of the pairs, in their order.

    Raises RejectedPairsError, or TooLargeError if that is what is wrong with each failing pair,
    naming every failing position; with ``skip`` only if all pairs fail.
    """

    pairs = await source() if callable(source) else source

    async def crop(pair: Pair) -> Crop | FaceServeError:
        image, _ = pair
        if isinstance(image, FaceServeError):
            return image
        try:
            return await _crop(detector, config, image)
        except PAIR_ERRORS as error:
            return error

    outcomes = await in_flight(crop, pairs, IMAGES_IN_FLIGHT)
    failures = {i: o for i, o in enumerate(outcomes) if isinstance(o, FaceServeError)}
    if failures and not skip:
        raise _rejection(failures, len(pairs))
    positions = [i for i in range(len(pairs)) if i not in failures]
    crops = [outcome for outcome in outcomes if not isinstance(outcome, FaceServeError)]
    embedded = await embed(extractor, crops, CROPS_A_CALL)
    failures |= {positions[i]: error for i, error in embedded.failures.items()}
    if embedded.embeddings is None or (failures and not skip):
        raise _rejection(failures, len(pairs))
    return Templates(
        labels=[label for i, (_, label) in enumerate(pairs) if i not in failures],
        embeddings=embedded.embeddings,
        rejected=[Rejection(i, str(error)) for i, error in sorted(failures.items())],
    )


async def _crop(detector: Detector, config: PipelineConfig, image: bytes) -> Crop:
    if not config.enrol.detect:
        return await detector.crop_whole(image)
    faces = await detector.detect(image, config.det_threshold)
    return policy.face_to_enrol(faces, config.enrol.faces).crop


def _rejection(failures: Mapping[int, FaceServeError], total: int) -> FaceServeError:
    reasons = "; ".join(f"position {i}: {error}" for i, error in sorted(failures.items()))
    message = f"nothing was enrolled, {len(failures)} of {total} pairs failed: {reasons}"
    # Smaller images are all it takes: that is worth a code of its own.
    if all(isinstance(error, TooLargeError) for error in failures.values()):
        return TooLargeError(message)
    return RejectedPairsError(message)
