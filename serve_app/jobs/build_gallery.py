"""A bulk job from its request to its end: images or embeddings in, a served gallery out.

A job is a row of the store that says how far it is. Whoever runs it, by ``ray job submit`` or in
the service's own cluster, goes on where it was left; what can't work ends it, and leaves nothing.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from serve_app.config import (
    JobRequest,
    ServiceArgs,
    default_cache_dir,
    load_pipeline,
    snapshots_url,
)
from serve_app.errors import (
    DatabaseAwayError,
    FaceServeError,
    InvalidRequestError,
    JobChangedError,
    JobConflictError,
    JobLostError,
    UnavailableError,
)
from serve_app.index.gallery import check_index_type
from serve_app.index.loading import Loader
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.staged import RowOutcome, SettledRows, StagedGallery
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs.flow import Networks, embedded, extractor_facts, shortage
from serve_app.jobs.holding import Hold, check_held, held
from serve_app.jobs.inputs.allowed import AllowedInputs
from serve_app.jobs.inputs.opening import open_input
from serve_app.jobs.inputs.places import without_folder
from serve_app.jobs.inputs.reading import ImageReader
from serve_app.jobs.inputs.rows import EmbeddingInput, ImageInput
from serve_app.jobs.opening import open_store
from serve_app.jobs.publishing import Publisher
from serve_app.jobs.report import summary, write_report
from serve_app.jobs.same_faces import same_faces, write_same_faces
from serve_app.jobs.settling import COMMIT_ROWS, PATIENCE_S, Settling, settled, settled_embeddings
from serve_app.models.zoo.opening import Watch, unwatched
from serve_app.priority import step_aside
from serve_app.tenancy import owned, tenant_of
from serve_app.types import GalleryInfo, IndexType, Job, JobMode, JobState, Metric, Shard

logger = logging.getLogger(__name__)

EXACT_ROWS = 100_000
"""Up to so many rows a gallery is Flat unless the request says otherwise (DESIGN 4)."""
PROGRESS_S = 2.0
UNFINISHED = (JobLostError, JobConflictError, UnavailableError)
"""These end a run and not the job: it can be begun again."""


class GalleryJob:
    """Runs jobs of the service that ``service`` and ``environ`` describe, in the Ray cluster that
    this process is connected to. ``allowed``: prefixes of what may be read, None: anything.
    ``say`` is given lines for a user."""

    def __init__(
        self,
        service: ServiceArgs,
        environ: Mapping[str, str],
        *,
        allowed: tuple[str, ...] | None,
        say: Callable[[str], None],
        watch: Watch = unwatched,
    ) -> None:
        self._service = service
        self._cache_dir = service.cache_dir or default_cache_dir(environ)
        self._watch = watch
        self._store = _open_store(service, environ)
        self._jobs = JobStore(self._store)
        self._allowed = None if allowed is None else AllowedInputs(allowed)
        self._say = say

    def close(self) -> None:
        self._store.close()

    def run(self, job_id: str) -> Job:
        """The job as it ended.

        Raises JobConflictError, JobLostError, UnavailableError: it can be begun again.
        """
        with held(self._jobs, job_id) as (hold, job):
            if job.state.is_final:
                return job
            try:
                return self._run(job, hold)
            except JobLostError:
                ended = self._jobs.job(job_id)
                if not ended.state.is_final:
                    raise
                return ended  # it was cancelled
            except UNFINISHED:
                raise
            except FaceServeError as error:
                self._report_failed(job_id)
                told = without_folder(str(error), JobRequest.model_validate_json(job.request).input)
                return self._jobs.end(job_id, JobState.FAILED, told, hold.holder)

    def _run(self, job: Job, hold: Hold) -> Job:
        request = JobRequest.model_validate_json(job.request)
        with _kept(job):
            given = open_input(request, self._allowed, self._service.fetch)
            networks = Networks(
                load_pipeline(request.pipeline or self._service.pipeline),
                self._service.limits,
                self._cache_dir,
                self._watch,
            )
            wanted = self._wanted(job, request, given, networks)
        job = self._jobs.begin(job.id, hold.holder, wanted, given.total, given.fingerprint)
        if job.done:
            self._say(f"going on at row {job.done} of {job.total}")
        settling = Settling(self._jobs, job, hold.holder, request, patience_s=PATIENCE_S)
        self._settle(settling.run(self._batches(given, job, request, networks)), hold)
        job = self._jobs.job(job.id)
        if not job.accepted:
            raise InvalidRequestError(_none_accepted(self._jobs, job))
        self._report(job, request)
        publisher = Publisher(
            self._store,
            SnapshotStorage(snapshots_url(self._service)),
            self._service,
            hold.holder,
            partial(check_held, hold),
            self._say,
        )
        publisher.publish(job, wanted.compatible_with)
        return self._jobs.job(job.id)

    def _wanted(
        self,
        job: Job,
        request: JobRequest,
        given: ImageInput | EmbeddingInput,
        networks: Networks,
    ) -> StagedGallery:
        """Raises InvalidRequestError for an index type that can't work."""
        if isinstance(given, EmbeddingInput):
            model_id, dimension, compatible = given.model_id, given.dimension, frozenset[str]()
        else:
            facts = extractor_facts(networks, self._service.jobs)
            model_id, dimension, compatible = facts
        before = self._before(job)
        if request.mode is JobMode.APPEND and before is not None:
            index_type, metric = before.index_type, before.metric
        else:
            usual = IndexType.FLAT if given.total <= EXACT_ROWS else IndexType.HNSW32
            found = (usual, Metric.IP) if before is None else (before.index_type, before.metric)
            index_type, metric = request.index_type or found[0], request.metric or found[1]
        check_index_type(index_type, dimension, metric)
        return StagedGallery(index_type, metric, dimension, model_id, compatible)

    def _before(self, job: Job) -> GalleryInfo | None:
        """What the job staged, if it goes on: what it replaces may be another meanwhile."""
        if job.generation is not None:
            return self._jobs.staged(job)
        return self._store.describe([job.key]).get(job.key)

    def _batches(
        self,
        given: ImageInput | EmbeddingInput,
        job: Job,
        request: JobRequest,
        networks: Networks,
    ) -> Iterator[SettledRows]:
        if job.done >= given.total:
            return iter(())
        if isinstance(given, EmbeddingInput):
            batches = given.batches(job.done, COMMIT_ROWS)
            return (settled_embeddings(batch, request.input) for batch in batches)
        reader = partial(ImageReader, self._service.limits, self._service.fetch, self._allowed)
        if line := shortage(self._service.jobs):
            self._say(line)
        flow = embedded(given, job.done, reader, networks, self._service.jobs)
        return map(settled, flow)

    def _settle(self, commits: Iterator[Job], hold: Hold) -> None:
        shown = 0.0
        for job in commits:
            check_held(hold)
            if time.monotonic() - shown >= PROGRESS_S or job.done == job.total:
                shown = time.monotonic()
                self._say(progress(job))

    def _report_failed(self, job_id: str) -> None:
        """Before the end, which removes the rows. Where it can't be written, there is none."""
        job = self._jobs.job(job_id)
        if not job.done:
            return
        try:
            self._report_rows(job, JobRequest.model_validate_json(job.request))
        except FaceServeError as error:
            self._say(str(error))

    def _report_rows(self, job: Job, request: JobRequest) -> str:
        """Where it is."""
        url = request.report or str(self._service.data_dir / "jobs" / f"{job.id}.parquet")
        write_report(url, self._jobs.rows(job.id))
        for line in summary(job, self._jobs.rows(job.id)):
            self._say(line)
        return url

    def _report(self, job: Job, request: JobRequest) -> None:
        """Before the switch, so that a job that is done has one."""
        url = self._report_rows(job, request)
        if request.same_face is not None:
            staged = replace(self._jobs.staged(job), key=job.key)
            loader = Loader(self._store, Shard(), None)
            among = [("job", loader.load(staged))]
            if job.mode is JobMode.APPEND:
                among.append(("gallery", loader.load(self._store.entry(job.key).info)))
            pairs = same_faces(self._store, staged, among, request.same_face)
            count = write_same_faces(f"{url.removesuffix('.parquet')}.same-faces.parquet", pairs)
            self._say(f"{count} pairs of close faces under different labels")


def submitted_job(
    job_id: str,
    request: JobRequest,
    service: ServiceArgs,
    environ: Mapping[str, str],
    *,
    say: Callable[[str], None],
    watch: Watch = unwatched,
) -> Job:
    """Submit ``request`` and run it here; or go on with it. Raises as ``GalleryJob.run``, and
    OperationReusedError if the job of this id is another."""
    job_id = owned(tenant_of(request.key), job_id)
    store = _open_store(service, environ)
    try:
        JobStore(store).submit(job_id, request.key, request.mode, request.text(), request.digest())
    finally:
        store.close()
    return run_job(job_id, service, environ, allowed=None, say=say, watch=watch)


def run_job(
    job_id: str,
    service: ServiceArgs,
    environ: Mapping[str, str],
    *,
    allowed: tuple[str, ...] | None,
    say: Callable[[str], None] = logger.info,
    watch: Watch = unwatched,
) -> Job:
    """See ``GalleryJob.run``. The calling thread steps aside, and so do FAISS's, which it starts:
    searches on the same machine come first."""
    step_aside()
    running = GalleryJob(service, environ, allowed=allowed, say=say, watch=watch)
    try:
        return running.run(job_id)
    finally:
        running.close()


def _open_store(service: ServiceArgs, environ: Mapping[str, str]) -> GalleryStore:
    """Raises ConfigError; UnavailableError where the database's server does not answer."""
    try:
        return open_store(service, environ)
    except DatabaseAwayError as error:
        raise UnavailableError(str(error)) from None


@contextlib.contextmanager
def _kept(job: Job) -> Iterator[None]:
    """What can't be opened now could be when the job was begun, and may be again: that costs
    nothing of what was staged. Raises UnavailableError for it."""
    try:
        yield
    except JobChangedError:
        raise
    except FaceServeError as error:
        if job.generation is None:
            raise
        raise UnavailableError(str(error)) from None


def progress(job: Job) -> str:
    """A line: how far, how fast, how long still."""
    left = "" if job.left_s is None else f", {job.left_s:.0f} s left"
    return f"{job.done} of {job.total} rows, {job.rate:.0f}/s, {job.rejected} rejected{left}"


def _none_accepted(jobs: JobStore, job: Job) -> str:
    reasons = [row.reason for row in jobs.rows(job.id) if row.outcome is RowOutcome.REJECTED]
    first = f": {reasons[0]}" if reasons else ""
    return f"none of {job.done} rows could be enrolled{first}"
