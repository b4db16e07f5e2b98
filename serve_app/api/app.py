"""The application: routes, their documentation, and what surrounds every one of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from serve_app.api import schemas
from serve_app.api.body import BodyReader
from serve_app.api.exchange import Exchange, answer_http_error, new_log_id
from serve_app.api.images import Fetcher, ImageReader
from serve_app.api.operations import Operations
from serve_app.api.visualise import Visualiser
from serve_app.config import Limits, PipelineConfig
from serve_app.service import RecognitionService

FAILURES = {
    404: "No such gallery",
    408: "The body did not arrive in time",
    409: "The gallery exists already, or holds embeddings of another model",
    413: "A body, an image or a list is over its limit",
    422: "An invalid field, an image that can't be decoded, or pairs that can't be enrolled",
    429: "Over capacity: try again after Retry-After seconds",
    500: "Unexpected failure",
    503: "A stage is unavailable",
    504: "Not done within the deadline",
}
DESCRIPTION = """Build galleries of faces, add and remove, and recognise who is in a picture.

Every reply is an envelope: `logId`, `errorCode` (0, or the HTTP status), `errorMsg`, and `result`
where the request succeeded."""


def create_app(
    service: RecognitionService, fetcher: Fetcher, config: PipelineConfig, limits: Limits
) -> FastAPI:
    """The HTTP API over ``service``. Needs neither Ray nor a running loop; closes ``fetcher`` when
    it shuts down."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await fetcher.aclose()

    # The documentation's page comes from an installed package: closed networks see it too.
    app = FastAPIOffline(
        title="face-serve",
        version="0.1.0",
        description=DESCRIPTION,
        redoc_url=None,
        lifespan=lifespan,
    )
    images = ImageReader(fetcher, limits.image_bytes, limits.body_bytes)
    operations = Operations(service, images, Visualiser(limits.image), config, limits)
    exchange = Exchange(limits.request_timeout_s)

    @app.post(
        "/face-recognition-index-build", **_documented(schemas.BuildRequest, schemas.BuildResult)
    )
    async def build_index(request: Request) -> Response:
        """Build a gallery of images and labels."""
        return await exchange.answer(request, schemas.BuildRequest, operations.build)

    @app.post(
        "/face-recognition-index-add", **_documented(schemas.AddRequest, schemas.GalleryResult)
    )
    async def add_images_to_index(request: Request) -> Response:
        """Enrol images in a gallery."""
        return await exchange.answer(request, schemas.AddRequest, operations.add)

    @app.post(
        "/face-recognition-index-remove",
        **_documented(schemas.RemoveRequest, schemas.GalleryResult),
    )
    async def remove_images_from_index(request: Request) -> Response:
        """Remove templates from a gallery by their ids."""
        return await exchange.answer(request, schemas.RemoveRequest, operations.remove)

    @app.post("/face-recognition-infer", **_documented(schemas.InferRequest, schemas.InferResult))
    async def infer(request: Request) -> Response:
        """Find the faces of an image and who they are."""
        return await exchange.answer(request, schemas.InferRequest, operations.infer)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", response_model=schemas.Health)
    async def check_health() -> Response:
        """Whether the service answers."""
        health = schemas.Health(log_id=new_log_id())
        return Response(health.model_dump_json(by_alias=True), media_type="application/json")

    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_middleware(BodyReader, max_bytes=limits.body_bytes, timeout_s=limits.body_timeout_s)
    return app


def _documented(request: type[BaseModel], result: type[BaseModel]) -> dict[str, Any]:
    """What FastAPI can't see, as the body is parsed from its bytes: schemas of body and replies."""
    return {
        "response_model": schemas.Success[result],  # type: ignore[valid-type]
        "responses": {
            status: {"model": schemas.Failure, "description": text}
            for status, text in FAILURES.items()
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": request.model_json_schema()}},
            }
        },
    }
