"""The application: its routes, and what surrounds every one of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from serve_app.access import Scope
from serve_app.access.ring import KeyRing
from serve_app.api import batch_schemas, job_schemas, schemas
from serve_app.api.batch import BatchOperations
from serve_app.api.body import BodyReader
from serve_app.api.docs_page import DOCS, add_docs_page
from serve_app.api.documentation import DESCRIPTION, FAILURES, add_body_schemas, documented
from serve_app.api.edge import Edge
from serve_app.api.errors import failure_response
from serve_app.api.exchange import Exchange, answer_http_error
from serve_app.api.forms.reading import RequestReader
from serve_app.api.galleries import GalleryOperations
from serve_app.api.gallery_routes import add_gallery_routes
from serve_app.api.gate import Gate
from serve_app.api.guard import Guard
from serve_app.api.idempotency import once
from serve_app.api.images import Fetcher, ImageReader
from serve_app.api.job_routes import add_job_routes
from serve_app.api.jobs import JobOperations
from serve_app.api.log_ids import new_log_id
from serve_app.api.operations import Operations
from serve_app.api.probes import PROBES
from serve_app.api.record_routes import add_record_routes
from serve_app.api.records import RecordOperations
from serve_app.api.replies import success_response
from serve_app.api.route_scopes import RouteScopes
from serve_app.api.sources import ImageArray
from serve_app.api.visualise import Visualiser
from serve_app.api.watching import Watching
from serve_app.batching import Admission
from serve_app.config import Limits, PipelineConfig
from serve_app.errors import UnavailableError
from serve_app.service import GalleryService, JobService, RecognitionService, RecordService


def create_app(
    service: RecognitionService,
    galleries: GalleryService,
    jobs: JobService,
    records: RecordService,
    fetcher: Fetcher,
    config: PipelineConfig,
    limits: Limits,
    admission: Admission | None = None,
    watching: Watching | None = None,
    ring: KeyRing | None = None,
    edge: Edge | None = None,
) -> FastAPI:
    """The HTTP API over four services. Needs neither Ray nor a running loop; closes ``fetcher``
    when it shuts down. ``admission`` watches the stages' queues; left out, everyone is let in.
    ``ring``: the API keys that are asked for; left out, none are. ``edge``: left out, the service
    may be called by any name, and who calls is the peer."""
    edge = edge or Edge()
    watching = watching or Watching()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with (
            watching.beside(),
            contextlib.nullcontext() if ring is None else ring.listening(),
        ):
            yield
        await fetcher.aclose()

    app = FastAPI(
        title="face-serve",
        version="0.1.0",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # its reply would be no envelope, and name the host
        lifespan=lifespan,
    )
    images = ImageReader(fetcher, limits.image, limits.body_bytes)
    visualiser = Visualiser(limits.image)
    admission = admission or Admission()
    admission.watch(visualiser.queue)
    operations = Operations(service, images, visualiser, config, limits)
    batches = BatchOperations(service, images, visualiser)
    exchange = Exchange(RequestReader(limits.pairs))

    @app.post(
        "/face-recognition-index-build",
        **documented(schemas.BuildRequest, schemas.BuildResult, Scope.ENROL, change=True),
    )
    async def build_index(request: Request) -> Response:
        """Build a gallery of images and labels."""
        return await exchange.answer(request, schemas.BuildRequest, once(request, operations.build))

    @app.post(
        "/face-recognition-index-add",
        **documented(schemas.AddRequest, schemas.GalleryResult, Scope.ENROL, change=True),
    )
    async def add_images_to_index(request: Request) -> Response:
        """Enrol images in a gallery."""
        return await exchange.answer(request, schemas.AddRequest, once(request, operations.add))

    @app.post(
        "/face-recognition-index-remove",
        **documented(schemas.RemoveRequest, schemas.GalleryResult, Scope.ENROL, change=True),
    )
    async def remove_images_from_index(request: Request) -> Response:
        """Remove templates from a gallery by their ids."""
        return await exchange.answer(
            request, schemas.RemoveRequest, once(request, operations.remove)
        )

    @app.post(
        "/face-recognition-infer",
        **documented(schemas.InferRequest, schemas.InferResult, Scope.READ),
    )
    async def infer(request: Request) -> Response:
        """Find the faces of an image and who they are."""
        return await exchange.answer(request, schemas.InferRequest, operations.infer)

    @app.post(
        "/v1/infer:batch",
        **documented(batch_schemas.BatchRequest, batch_schemas.BatchResult, Scope.READ),
    )
    async def infer_batch(request: Request) -> Response:
        """Find the faces of several images and who they are. An image that fails does so alone."""
        return await exchange.answer(request, batch_schemas.BatchRequest, batches.infer)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", response_model=schemas.Health)
    async def check_health() -> Response:
        """Whether the service answers."""
        health = schemas.Health(log_id=new_log_id())
        return Response(health.model_dump_json(by_alias=True), media_type="application/json")

    @app.get(
        "/ready",
        response_model=schemas.Success[schemas.Readiness],
        responses={503: {"model": schemas.Failure, "description": FAILURES[503]}},
    )
    async def check_ready() -> Response:
        """Whether every stage and the store would answer, and if not what to do."""
        try:
            stages = await watching.readiness.stages()
        except UnavailableError as error:
            return failure_response(error, new_log_id())
        return success_response(schemas.Readiness(stages=stages), new_log_id())

    add_docs_page(app)
    add_gallery_routes(app, GalleryOperations(galleries), exchange)
    add_job_routes(app, JobOperations(jobs), exchange)
    add_record_routes(app, RecordOperations(records), exchange)
    bodies = (
        schemas.BuildRequest,
        schemas.AddRequest,
        schemas.RemoveRequest,
        schemas.InferRequest,
        batch_schemas.BatchRequest,
        job_schemas.JobBody,
        ImageArray,
    )
    add_body_schemas(app, bodies, keys=ring is not None)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_middleware(BodyReader, max_bytes=limits.body_bytes, timeout_s=limits.body_timeout_s)
    # What the service is and whether it runs is no secret.
    scopes = RouteScopes(app.routes, [*PROBES, *DOCS])
    app.add_middleware(Guard, scopes=scopes, ring=ring, limits=limits, proof=edge.proof)
    app.add_middleware(  # the outermost
        Gate,
        admission=admission,
        limits=limits,
        observe=watching.observe,
        tracing=watching.tracing,
        hosts=edge.hosts,
    )
    return app
