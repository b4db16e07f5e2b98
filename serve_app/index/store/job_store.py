"""The store's face for jobs: each method is one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sqlalchemy import Connection, select

from serve_app.errors import GalleryExistsError, GalleryMismatchError, QuotaError
from serve_app.index.records import Moment
from serve_app.index.staged import SettledRow, SettledRows, StagedGallery
from serve_app.index.store import input_rows, job_rows, publishing, sources, staging
from serve_app.index.store.damage import read_gallery
from serve_app.index.store.reading import of_generation
from serve_app.index.store.schema import job_row
from serve_app.index.store.store import GalleryStore
from serve_app.types import (
    OPERATOR,
    Caller,
    GalleryInfo,
    Job,
    JobMode,
    JobRejection,
    JobState,
    Shard,
)

PAGE = 10_000


class JobStore:
    """Jobs in the database of ``store``. Thread-safe. Every method raises UnavailableError."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._transactions = store.transactions

    def submit(
        self,
        job_id: str,
        key: str,
        mode: JobMode,
        request: str,
        digest: str,
        caller: Caller = OPERATOR,
    ) -> Job:
        """A new job, or the one of this id if the same was asked, by ``digest``.

        ``request``: JSON of what was asked, without secrets. Raises OperationReusedError.
        """
        return self._transactions.write(
            lambda connection: job_rows.submit(
                connection, job_id, key, mode, request, digest, caller
            )
        )

    def job(self, job_id: str) -> Job:
        """Raises JobNotFoundError."""
        return self._transactions.query(lambda connection: job_rows.read(connection, job_id))

    def jobs(self, limit: int, tenant: str | None = None) -> list[Job]:
        """The newest ``limit``, newest first; of one tenant if it is given."""
        return self._transactions.query(
            lambda connection: job_rows.listed(connection, limit, tenant)
        )

    def rejections(self, job_id: str, after: int, limit: int) -> list[JobRejection]:
        """Up to ``limit`` rejected rows with positions above ``after``."""
        return self._transactions.query(
            lambda connection: job_rows.rejections(connection, job_id, after, limit)
        )

    # Running one

    def take(self, job_id: str, holder: str, seconds: float) -> Job:
        """Run it for ``seconds`` from now on, or longer by ``hold``. A job that is over is answered
        as it ended. Raises JobConflictError while another runs it, JobNotFoundError."""
        return self._transactions.write(
            lambda connection: job_rows.take(connection, job_id, holder, seconds)
        )

    def hold(self, job_id: str, holder: str, seconds: float) -> None:
        """Raises JobLostError."""
        self._transactions.write(
            lambda connection: job_rows.hold(connection, job_id, holder, seconds)
        )

    def let_go(self, job_id: str, holder: str) -> None:
        """Another may go on with it at once."""
        self._transactions.write(lambda connection: job_rows.let_go(connection, job_id, holder))

    def begin(
        self, job_id: str, holder: str, wanted: StagedGallery, total: int | None, fingerprint: str
    ) -> Job:
        """See ``staging.begin``."""
        return self._transactions.write(
            lambda connection: staging.begin(connection, job_id, holder, wanted, total, fingerprint)
        )

    def stage(
        self,
        job_id: str,
        holder: str,
        settled: SettledRows,
        *,
        skip_duplicates: bool = False,
        keep_sources: bool = False,
    ) -> Job:
        """See ``staging.stage``. A commit whose answer was lost is found out: the rows are not
        written twice."""

        def work(connection: Connection) -> Job:
            now = job_rows.held(connection, job_id, holder)
            if tried and now.done == settled.upto:
                return job_rows.read(connection, job_id)
            tried.append(True)
            return staging.stage(
                connection,
                job_id,
                holder,
                settled,
                skip_duplicates=skip_duplicates,
                keep_sources=keep_sources,
            )

        tried: list[bool] = []
        return self._transactions.write(work)

    def staged(self, job: Job) -> GalleryInfo:
        """What the job staged so far. Raises UnavailableError if it is gone, or published."""
        return self._transactions.query(
            lambda connection: read_gallery(staging.staged(connection, job.generation, lock=False))
        )

    def publish(
        self,
        job_id: str,
        holder: str,
        message: str,
        compatible_with: frozenset[str] = frozenset(),
        in_place_of: Moment | None = None,
    ) -> GalleryInfo:
        """See ``publishing.publish``. A commit whose answer was lost is found out."""

        def work(connection: Connection) -> GalleryInfo:
            if tried and (done := self._published(connection, job_id)):
                return done
            tried.append(True)
            return publishing.publish(
                connection, job_id, holder, message, compatible_with, in_place_of
            )

        tried: list[bool] = []
        try:
            info = self._transactions.write(work)
        except (GalleryExistsError, GalleryMismatchError, QuotaError) as error:
            self._transactions.write(partial(publishing.refused, job_id=job_id, error=error))
            raise
        self._store.erase()
        return info

    def previous(self, key: str) -> GalleryInfo:
        """What ``rollback`` would bring back. Raises GalleryNotFoundError if nothing was kept."""
        return self._transactions.query(lambda connection: publishing.previous(connection, key))

    def rollback(self, key: str, generation: str, by: Caller = OPERATOR) -> GalleryInfo:
        """See ``publishing.rollback``; ``generation``: of ``previous``."""
        return self._transactions.write(
            lambda connection: publishing.rollback(connection, key, generation, by)
        )

    def end(self, job_id: str, state: JobState, message: str, holder: str | None = None) -> Job:
        """It failed or was cancelled: nothing is left of what it staged. One that is over stays as
        it is. ``holder``: who ends it because its run failed; None: whoever cancels it. Raises
        JobNotFoundError, JobLostError if another than ``holder`` runs it."""

        def work(connection: Connection) -> Job:
            row = job_rows.locked(connection, job_id)
            if row.state not in job_rows.FINAL:
                if holder is not None:
                    job_rows.held(connection, job_id, holder)
                job_rows.end(connection, job_id, state, message)
            return job_rows.read(connection, job_id)

        job = self._transactions.write(work)
        self._store.erase()
        return job

    def forget(self, job_id: str) -> None:
        """Remove what is known of a job that is over; of any other nothing."""
        self._transactions.write(lambda connection: job_rows.remove(connection, job_id))
        self._store.erase()

    # For the report, and for embedding anew

    def rows(self, job_id: str) -> Iterator[SettledRow]:
        """What is kept of the input's rows, by position: all of images, the others' rejections."""
        after = -1
        while page := self._row_page(job_id, after):
            yield from page
            after = page[-1].position

    def sources(self, info: GalleryInfo, after_id: int, limit: int) -> list[tuple[int, str, str]]:
        """Id, source and label of up to ``limit`` templates whose source was kept, by id."""
        return self._transactions.query(
            lambda connection: sources.sources(connection, info, after_id, limit)
        )

    @staticmethod
    def _published(connection: Connection, job_id: str) -> GalleryInfo | None:
        job = job_rows.read(connection, job_id)
        if job.state is not JobState.DONE or job.generation is None:
            return None
        return of_generation(connection, job.generation, Shard())

    def _row_page(self, job_id: str, after: int) -> list[SettledRow]:
        query = (
            select(job_row)
            .where(job_row.c.job == job_id, job_row.c.position > after)
            .order_by(job_row.c.position)
            .limit(PAGE)
        )

        def work(connection: Connection) -> list[SettledRow]:
            rows = connection.execute(query).all()
            return list(map(input_rows.reader(connection, job_id), rows))

        return self._transactions.query(work)
