"""Recognition in several images of one request: each is answered, or fails, alone.

Knows the service and the schemas; must not know FastAPI or envelopes.
"""

from __future__ import annotations

from serve_app.api import batch_schemas as schemas
from serve_app.api.errors import status_and_message
from serve_app.api.images import ImageReader
from serve_app.api.operations import infer_result
from serve_app.api.schemas import InferResult
from serve_app.api.visualise import Visualiser
from serve_app.errors import FaceServeError
from serve_app.service import IMAGES_IN_FLIGHT, RecognitionService, each_alone


class BatchOperations:
    def __init__(
        self, service: RecognitionService, images: ImageReader, visualiser: Visualiser
    ) -> None:
        self._service = service
        self._images = images
        self._visualiser = visualiser

    async def infer(self, request: schemas.BatchRequest) -> schemas.BatchResult:
        """Raises what is wrong with the request as a whole: GalleryNotFoundError,
        GalleryMismatchError; TooLargeError if its images are too many bytes together;
        OverloadedError and UnavailableError if that is what all images met."""

        async def recognised(image: bytes | FaceServeError) -> InferResult:
            if isinstance(image, FaceServeError):
                raise image
            found = await self._service.identify(
                image,
                request.index_key,
                request.det_threshold,
                request.rec_threshold,
                request.topk,
                request.consistency,
            )
            picture = None
            if request.visualize:
                picture = await self._visualiser.picture(image, found.faces)
            return infer_result(found, picture)

        images = await self._images.read_all(request.images)
        answers = await each_alone(recognised, images, IMAGES_IN_FLIGHT)
        return schemas.BatchResult(
            results=[
                _failed(answer) if isinstance(answer, FaceServeError) else answer
                for answer in answers
            ]
        )


def _failed(error: FaceServeError) -> schemas.FailedImage:
    status, message = status_and_message(error)
    return schemas.FailedImage(error=schemas.ImageError(error_code=status, error_msg=message))
