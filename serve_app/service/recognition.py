"""The service: the order of the stages, for each of the four operations.

Keeps no state: any replica may answer any request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from serve_app import policy
from serve_app.config import PipelineConfig
from serve_app.errors import FaceServeError, GalleryExistsError, GalleryNotFoundError
from serve_app.ports import Detector, Extractor, Index
from serve_app.service.embedding import embed
from serve_app.service.enrolment import Pair, Rejection, make_templates
from serve_app.types import Box, Candidate, Embeddings, IndexType, Metric, Receipt


@dataclass(frozen=True, slots=True)
class Recognition:
    """One face of an image and who it may be: ``candidates`` nearest first, empty if unknown."""

    box: Box
    score: float
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What build and add did. ``rejected`` is empty unless failing pairs were to be skipped."""

    key: str
    receipt: Receipt
    rejected: list[Rejection]


class RecognitionService:
    def __init__(
        self, detector: Detector, extractor: Extractor, index: Index, config: PipelineConfig
    ) -> None:
        self._detector = detector
        self._extractor = extractor
        self._index = index
        self._config = config

    async def identify(
        self,
        image: bytes,
        key: str | None = None,
        det_threshold: float | None = None,
        rec_threshold: float | None = None,
        top_k: int | None = None,
    ) -> list[Recognition]:
        """Every face of an encoded image, in the detector's order, with its candidates.

        Thresholds and ``top_k`` left out are the pipeline's; a given ``rec_threshold`` is in the
        gallery's own metric. Raises GalleryNotFoundError, GalleryMismatchError, InvalidImageError,
        TooLargeError.
        """
        key = self._gallery(key)
        threshold = self._config.det_threshold if det_threshold is None else det_threshold
        top_k = self._config.top_k if top_k is None else top_k
        faces = await self._detector.detect(image, threshold)
        if not faces or top_k == 0:
            await self._index.describe(key)  # an unknown gallery is an error also here
            return [Recognition(face.box, face.score, []) for face in faces]
        embedded = await embed(self._extractor, [face.crop for face in faces], len(faces))
        known = iter(await self._candidates(key, embedded.embeddings, rec_threshold, top_k))
        # A face that can't be embedded stays in the answer, as one that nobody knows.
        return [
            Recognition(face.box, face.score, [] if i in embedded.failures else next(known))
            for i, face in enumerate(faces)
        ]

    async def build(
        self,
        pairs: Sequence[Pair],
        key: str | None = None,
        *,
        index_type: IndexType = IndexType.FLAT,
        metric: Metric = Metric.IP,
        skip: bool = False,
        with_labels: bool = True,
    ) -> Enrolment:
        """A new gallery of images and labels, ids from 0 in their order; without ``key`` its key is
        a UUID4.

        Raises what ``make_templates`` raises, GalleryExistsError, InvalidRequestError for a bad
        key.
        """
        if key is None:
            key = str(uuid4())
        else:
            policy.check_key(key)
            await self._refuse_existing(key)
        made = await make_templates(self._detector, self._extractor, self._config, pairs, skip=skip)
        receipt = await self._index.build(
            key, index_type, metric, made.labels, made.embeddings, with_labels=with_labels
        )
        return Enrolment(key, receipt, made.rejected)

    async def add(
        self,
        pairs: Sequence[Pair],
        key: str | None = None,
        *,
        skip: bool = False,
        with_labels: bool = True,
    ) -> Enrolment:
        """Enrol into a gallery. Raises what ``make_templates`` raises, GalleryNotFoundError,
        GalleryMismatchError."""
        key = self._gallery(key)
        await self._index.describe(key)  # before a thousand images are embedded for nothing
        made = await make_templates(self._detector, self._extractor, self._config, pairs, skip=skip)
        receipt = await self._index.add(key, made.labels, made.embeddings, with_labels=with_labels)
        return Enrolment(key, receipt, made.rejected)

    async def remove(
        self, ids: Iterable[int], key: str | None = None, *, with_labels: bool = True
    ) -> Receipt:
        """Remove templates. Unknown, repeated, negative and impossibly large ids are ignored.

        Raises GalleryNotFoundError.
        """
        key = self._gallery(key)
        return await self._index.remove(key, policy.removable(ids), with_labels=with_labels)

    def _gallery(self, key: str | None) -> str:
        key = self._config.index if key is None else key
        if key is None:
            raise GalleryNotFoundError(
                "the request names no gallery and no default gallery is configured: name one, "
                "or set index in the pipeline file"
            )
        return key

    async def _refuse_existing(self, key: str) -> None:
        """Early, before the images are embedded; the index decides again in its transaction."""
        try:
            await self._index.describe(key)
        except GalleryNotFoundError:
            return
        raise GalleryExistsError(
            "a gallery of this key exists: add to it, or build under another key"
        )

    async def _candidates(
        self, key: str, probes: Embeddings | None, rec_threshold: float | None, top_k: int
    ) -> list[list[Candidate]]:
        """Accepted candidates of each probe."""
        if probes is None:
            await self._index.describe(key)
            return []
        result = await self._index.search(key, probes, top_k)
        if len(result.candidates) != len(probes.vectors):
            raise FaceServeError("the index answered another number of probes than were asked")
        if rec_threshold is None:
            rec_threshold = policy.default_threshold(self._config.rec_threshold, result.metric)
        rule = self._config.compat.threshold
        return [policy.accepted(c, rec_threshold, result.metric, rule) for c in result.candidates]
