"""The service: the order of the stages, for each of the four operations of recognition.

Keeps no state: any replica may answer any request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import uuid4

from serve_app import policy
from serve_app.config import PipelineConfig
from serve_app.errors import (
    FaceServeError,
    GalleryExistsError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.ports import Detector, Extractor, Index
from serve_app.service.embedding import embed
from serve_app.service.enrolment import Pairs, Templates, make_templates
from serve_app.service.rejections import Rejection, note_of, rejections_in
from serve_app.types import (
    Box,
    Candidate,
    Consistency,
    Embeddings,
    IndexType,
    Metric,
    Operation,
    Receipt,
)


@dataclass(frozen=True, slots=True)
class Recognition:
    """One face of an image and who it may be: ``candidates`` nearest first, empty if unknown."""

    box: Box
    score: float
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True)
class Identification:
    """The faces of an image, in the detector's order. ``stale``: the gallery may have changes that
    were not seen, or be gone."""

    faces: list[Recognition]
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What build and add did. ``rejected`` is empty unless failing pairs were to be skipped."""

    key: str
    receipt: Receipt
    rejected: list[Rejection]


class RecognitionService:
    """``operation``: names a change, so that sending it again does nothing and answers the same.
    Raises OperationReusedError if it named something else."""

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
        consistency: Consistency = Consistency.STRONG,
    ) -> Identification:
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
            stale = await self._look_for(key, consistency)
            return Identification([Recognition(f.box, f.score, []) for f in faces], stale)
        embedded = await embed(self._extractor, [face.crop for face in faces], len(faces))
        if embedded.embeddings is None:
            found: list[list[Candidate]] = []
            stale = await self._look_for(key, consistency)
        else:
            found, stale = await self._candidates(
                key, embedded.embeddings, rec_threshold, top_k, consistency
            )
        known = iter(found)
        # A face that can't be embedded stays in the answer, as one that nobody knows.
        recognitions = [
            Recognition(face.box, face.score, [] if i in embedded.failures else next(known))
            for i, face in enumerate(faces)
        ]
        return Identification(recognitions, stale)

    async def build(
        self,
        pairs: Pairs,
        key: str | None = None,
        *,
        index_type: str = IndexType.FLAT,
        metric: Metric = Metric.IP,
        skip: bool = False,
        with_labels: bool = True,
        operation: Operation | None = None,
    ) -> Enrolment:
        """A new gallery of images and labels, ids from 0 in their order; without ``key`` its key is
        a UUID4.

        Raises what ``make_templates`` raises, GalleryExistsError, InvalidRequestError for a bad
        key or an ``index_type`` that can't work.
        """
        exists = False
        if key is None:
            key = str(uuid4())
        else:
            policy.check_key(key)
            exists = await self._exists(key)
        # Asked after that: the gallery may be there because of this very operation.
        if (earlier := await self._answered(operation, with_labels)) is not None:
            return earlier
        if exists:
            raise GalleryExistsError(
                "a gallery of this key exists: add to it, or build under another key"
            )
        made = await self._templates(pairs, skip)
        receipt = await self._index.build(
            key,
            index_type,
            metric,
            made.labels,
            made.embeddings,
            with_labels=with_labels,
            operation=_noted(operation, made.rejected),
        )
        return _enrolment(receipt) if operation else Enrolment(key, receipt, made.rejected)

    async def add(
        self,
        pairs: Pairs,
        key: str | None = None,
        *,
        skip: bool = False,
        with_labels: bool = True,
        operation: Operation | None = None,
    ) -> Enrolment:
        """Enrol into a gallery. Raises what ``make_templates`` raises, GalleryNotFoundError,
        GalleryMismatchError."""
        key = self._gallery(key)
        if (earlier := await self._answered(operation, with_labels)) is not None:
            return earlier
        await self._index.describe(key)  # before a thousand images are embedded for nothing
        made = await self._templates(pairs, skip)
        receipt = await self._index.add(
            key,
            made.labels,
            made.embeddings,
            with_labels=with_labels,
            operation=_noted(operation, made.rejected),
        )
        return _enrolment(receipt) if operation else Enrolment(key, receipt, made.rejected)

    async def remove(
        self,
        ids: Iterable[int],
        key: str | None = None,
        *,
        with_labels: bool = True,
        operation: Operation | None = None,
    ) -> Receipt:
        """Remove templates. Unknown, repeated, negative and impossibly large ids are ignored.

        Raises GalleryNotFoundError.
        """
        key = self._gallery(key)
        if (earlier := await self._answered(operation, with_labels)) is not None:
            return earlier.receipt
        return await self._index.remove(
            key, policy.removable(ids), with_labels=with_labels, operation=operation
        )

    def _gallery(self, key: str | None) -> str:
        key = self._config.index if key is None else key
        if key is None:
            raise GalleryNotFoundError(
                "the request names no gallery and no default gallery is configured: name one, "
                "or set index in the pipeline file"
            )
        return key

    async def _answered(self, operation: Operation | None, with_labels: bool) -> Enrolment | None:
        """What ``operation`` did, if it was done before: nothing need be read or embedded then."""
        if operation is None:
            return None
        receipt = await self._index.answered(operation, with_labels=with_labels)
        return None if receipt is None else _enrolment(receipt)

    async def _templates(self, pairs: Pairs, skip: bool) -> Templates:
        return await make_templates(self._detector, self._extractor, self._config, pairs, skip=skip)

    async def _exists(self, key: str) -> bool:
        """Early, before the images are embedded; the index decides again in its transaction."""
        try:
            await self._index.describe(key)
        except GalleryNotFoundError:
            return False
        return True

    async def _look_for(self, key: str, consistency: Consistency) -> bool:
        """An unknown gallery is an error also where nothing is searched. Whether nobody could tell,
        which an eventual search takes as an answer."""
        try:
            await self._index.describe(key)
        except UnavailableError:
            if consistency is Consistency.STRONG:
                raise
            return True
        return False

    async def _candidates(
        self,
        key: str,
        probes: Embeddings,
        rec_threshold: float | None,
        top_k: int,
        consistency: Consistency,
    ) -> tuple[list[list[Candidate]], bool]:
        """Accepted candidates of each probe, and whether they are stale."""
        result = await self._index.search(key, probes, top_k, consistency=consistency)
        if len(result.candidates) != len(probes.vectors):
            raise FaceServeError("the index answered another number of probes than were asked")
        if rec_threshold is None:
            rec_threshold = policy.default_threshold(self._config.rec_threshold, result.metric)
        rule = self._config.compat.threshold
        accepted = [
            policy.accepted(c, rec_threshold, result.metric, rule) for c in result.candidates
        ]
        return accepted, result.stale


def _noted(operation: Operation | None, rejected: list[Rejection]) -> Operation | None:
    return None if operation is None else replace(operation, note=note_of(rejected))


def _enrolment(receipt: Receipt) -> Enrolment:
    """Of a named operation, also of one that another request of the same name has just done: all of
    it is what was kept then."""
    return Enrolment(receipt.key, receipt, rejections_in(receipt.note))
