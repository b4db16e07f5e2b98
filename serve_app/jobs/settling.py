"""What becomes of each row: batches of the input, settled and staged one after the other.

Owns when the store is written to, and when so many rows are rejected that the job is given up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from serve_app.config import JobRequest, rejected_limit
from serve_app.errors import InvalidRequestError, RejectedPairsError, UnavailableError
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows
from serve_app.index.store.job_store import JobStore
from serve_app.jobs.faces import NO_ID, Columns
from serve_app.jobs.inputs.rows import EmbeddingRows
from serve_app.locations import without_secrets
from serve_app.types import Job

logger = logging.getLogger(__name__)

COMMIT_S = 1.0
"""Between two commits while rows come slowly: no more than that is done anew after a crash."""
COMMIT_ROWS = 5000
PATIENCE_S = 60.0
"""For how long the store may be gone before the run ends; the job can be begun again then."""
AGAIN_S = 1.0


class Settling:
    """Stages rows of the job that ``holder`` runs."""

    def __init__(
        self, jobs: JobStore, job: Job, holder: str, request: JobRequest, *, patience_s: float
    ) -> None:
        self._jobs = jobs
        self._job = job
        self._holder = holder
        self._request = request
        self._patience_s = patience_s

    def run(self, batches: Iterable[SettledRows]) -> Iterator[Job]:
        """The job after each commit. Raises RejectedPairsError if too much was rejected,
        JobLostError, UnavailableError."""
        self._check_rejected()
        for rows in gathered(batches):
            self._job = self._stage(self._tellable(rows))
            yield self._job
            self._check_rejected()

    def _tellable(self, rows: SettledRows) -> SettledRows:
        """Without the secrets of URLs, but where a source is kept to be read again: of others it
        is only told."""
        kept = RowOutcome.ACCEPTED if self._request.keep_sources else None
        told = [
            row
            if row.outcome is kept or (source := without_secrets(row.source)) == row.source
            else replace(row, source=source)
            for row in rows.rows
        ]
        return replace(rows, rows=told)

    def _stage(self, rows: SettledRows) -> Job:
        deadline = time.monotonic() + self._patience_s
        tried = False
        while True:
            try:
                if tried and (job := self._jobs.job(self._job.id)).done == rows.upto:
                    return job  # it was committed, and only the answer was lost
                return self._jobs.stage(
                    self._job.id,
                    self._holder,
                    rows,
                    skip_duplicates=self._request.duplicates == "skip",
                    keep_sources=self._request.keep_sources,
                )
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                logger.warning("the gallery store does not answer; trying again")
                tried = True
                time.sleep(AGAIN_S)

    def _check_rejected(self) -> None:
        job = self._job
        limit = self._limit()
        if limit is None or job.rejected <= limit:
            return
        first = self._jobs.rejections(job.id, -1, 3)
        reasons = "; ".join(f"row {row.position} ({row.source}): {row.reason}" for row in first)
        raise RejectedPairsError(
            f"{job.rejected} of {job.done} rows were rejected, {limit} may be: {reasons}"
        )

    def _limit(self) -> int | None:
        if self._request.fail_fast:
            return 0
        if self._request.max_rejected is None:
            return None
        return rejected_limit(self._request.max_rejected, self._job.total or 0)


def gathered(batches: Iterable[SettledRows]) -> Iterator[SettledRows]:
    """Several batches for a commit, where they come fast."""
    waiting: list[SettledRows] = []
    rows, since = 0, time.monotonic()
    for batch in batches:
        waiting.append(batch)
        rows += batch.upto - batch.start
        if rows >= COMMIT_ROWS or time.monotonic() - since >= COMMIT_S:
            yield _joined(waiting)
            waiting, rows, since = [], 0, time.monotonic()
    if waiting:
        yield _joined(waiting)


def settled(columns: Columns) -> SettledRows:
    """Of images. Raises InvalidRequestError where rows are missing between them."""
    positions = columns["position"].tolist()
    if positions != list(range(positions[0], positions[0] + len(positions))):
        raise InvalidRequestError("the input gave its rows in another order than before")
    rows = [
        SettledRow(
            position=position,
            source=source,
            label=label,
            outcome=RowOutcome.REJECTED if fault else RowOutcome.ACCEPTED,
            reason=fault,
            digest=bytes(digest) or None,
            id=None if number == NO_ID else number,
        )
        for position, source, label, fault, digest, number in zip(
            positions,
            columns["source"].tolist(),
            columns["label"].tolist(),
            columns["fault"].tolist(),
            columns["digest"].tolist(),
            columns["id"].tolist(),
            strict=True,
        )
    ]
    good = np.array([row.outcome is RowOutcome.ACCEPTED for row in rows])
    return SettledRows(positions[0], positions[-1] + 1, rows, columns["vector"][good])


def settled_embeddings(batch: EmbeddingRows, source: str) -> SettledRows:
    """Of ready embeddings; ``source`` is what the report calls the table."""
    rows = [
        SettledRow(
            position=batch.start + place,
            source=source,
            label=label,
            outcome=RowOutcome.REJECTED if place in batch.faults else RowOutcome.ACCEPTED,
            reason=batch.faults.get(place, ""),
            id=None if batch.ids is None else batch.ids[place],
        )
        for place, label in enumerate(batch.labels)
    ]
    good = np.ones(len(rows), dtype=bool)
    good[list(batch.faults)] = False
    return SettledRows(batch.start, batch.start + len(rows), rows, batch.vectors[good])


def _joined(batches: list[SettledRows]) -> SettledRows:
    if len(batches) == 1:
        return batches[0]
    return SettledRows(
        batches[0].start,
        batches[-1].upto,
        [row for batch in batches for row in batch.rows],
        np.concatenate([batch.vectors for batch in batches]),
    )
