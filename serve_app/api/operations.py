"""The four operations: a request's words to a call of the service, its answer to a reply's words.

Knows the service and the schemas; must not know FastAPI, envelopes or status codes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from serve_app.api import schemas
from serve_app.api.errors import invalid_field
from serve_app.api.images import ImageReader
from serve_app.api.visualise import Visualiser
from serve_app.config import Limits, PipelineConfig
from serve_app.errors import TooLargeError
from serve_app.service import Enrolment, Identification, Pair, RecognitionService
from serve_app.types import Operation, Receipt


class Operations:
    def __init__(
        self,
        service: RecognitionService,
        images: ImageReader,
        visualiser: Visualiser,
        config: PipelineConfig,
        limits: Limits,
    ) -> None:
        self._service = service
        self._images = images
        self._visualiser = visualiser
        self._config = config
        self._limits = limits

    async def build(
        self, request: schemas.BuildRequest, operation: Operation | None
    ) -> schemas.BuildResult:
        enrolment = await self._service.build(
            self._pairs(request.image_label_pairs),
            request.index_key,
            index_type=request.index_type,
            metric=request.metric_type,
            skip=request.on_error == "skip",
            with_labels=request.return_id_map,
            operation=operation,
        )
        return schemas.BuildResult(
            index_key=enrolment.key,
            id_map=enrolment.receipt.labels,
            image_count=enrolment.receipt.count,
            rejected=_rejected(request, enrolment),
        )

    async def add(
        self, request: schemas.AddRequest, operation: Operation | None
    ) -> schemas.GalleryResult:
        self._require_gallery(request)
        enrolment = await self._service.add(
            self._pairs(request.image_label_pairs),
            request.index_key,
            skip=request.on_error == "skip",
            with_labels=request.return_id_map,
            operation=operation,
        )
        return _gallery_result(enrolment.receipt, _rejected(request, enrolment))

    async def remove(
        self, request: schemas.RemoveRequest, operation: Operation | None
    ) -> schemas.GalleryResult:
        self._require_gallery(request)
        receipt = await self._service.remove(
            request.ids,
            request.index_key,
            with_labels=request.return_id_map,
            operation=operation,
        )
        return _gallery_result(receipt, None)

    async def infer(self, request: schemas.InferRequest) -> schemas.InferResult:
        image = await self._images.read(request.image)
        found = await self._service.identify(
            image,
            request.index_key,
            request.det_threshold,
            request.rec_threshold,
            request.topk,
            request.consistency,
        )
        picture = None
        if request.visualize is not False:
            picture = await self._visualiser.picture(image, found.faces)
        return infer_result(found, picture)

    def _require_gallery(self, request: schemas.AddRequest | schemas.RemoveRequest) -> None:
        """On add and remove a gallery that is neither named nor configured is an invalid field."""
        if request.index_key is not None or self._config.index is not None:
            return
        if "index_key" in request.model_fields_set:
            raise invalid_field("string_type", "indexKey", "Input should be a valid string")
        raise invalid_field("missing", "indexKey", "Field required")

    def _pairs(
        self, pairs: Sequence[schemas.ImageLabelPair]
    ) -> Callable[[], Awaitable[list[Pair]]]:
        """What reads the pairs' images, once the service wants them."""
        if len(pairs) > self._limits.pairs:
            raise TooLargeError(
                f"imageLabelPairs has {len(pairs)} pairs, over the limit of {self._limits.pairs}: "
                "send them in several requests"
            )

        async def read() -> list[Pair]:
            images = await self._images.read_all([pair.image for pair in pairs])
            return [(image, pair.label) for image, pair in zip(images, pairs, strict=True)]

        return read


def infer_result(found: Identification, picture: bytes | None) -> schemas.InferResult:
    """``picture``: a JPEG, if one was asked for."""
    faces = [
        schemas.RecognisedFace(
            bbox=list(recognition.box),
            rec_results=[
                schemas.RecResult(label=candidate.label, score=candidate.score)
                for candidate in recognition.candidates
            ],
            score=recognition.score,
        )
        for recognition in found.faces
    ]
    return schemas.InferResult(faces=faces, image=picture, stale=True if found.stale else None)


def _gallery_result(
    receipt: Receipt, rejected: list[schemas.RejectedPair] | None
) -> schemas.GalleryResult:
    return schemas.GalleryResult(
        id_map=receipt.labels, image_count=receipt.count, rejected=rejected
    )


def _rejected(
    request: schemas.BuildRequest | schemas.AddRequest, enrolment: Enrolment
) -> list[schemas.RejectedPair] | None:
    if request.on_error != "skip":
        return None
    return [schemas.RejectedPair(position=r.position, reason=r.reason) for r in enrolment.rejected]
