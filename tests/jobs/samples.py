"""Jobs of a store, and rows as they are settled."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from serve_app.config import JobRequest
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store.job_store import JobStore
from serve_app.types import Job, Metric, Vectors
from tests.index.samples import DIMENSION, MODEL, vectors

JOB, HOLDER = "job", "me"
ALL = vectors(1000, seed=7)
"""Of each position of the input."""


def request(**facts: Any) -> JobRequest:
    return JobRequest.model_validate({"key": "staff", "input": "/photos", **facts})


def submitted(jobs: JobStore, asked: JobRequest | None = None, job_id: str = JOB) -> Job:
    asked = asked or request()
    return jobs.submit(job_id, asked.key, asked.mode, asked.text(), asked.digest())


def begun(
    jobs: JobStore,
    asked: JobRequest | None = None,
    *,
    job_id: str = JOB,
    total: int = 100,
    index_type: str = "Flat",
    metric: Metric = Metric.IP,
    dimension: int = DIMENSION,
) -> Job:
    """Run by HOLDER for a minute from now on."""
    submitted(jobs, asked, job_id)
    jobs.take(job_id, HOLDER, 60)
    wanted = StagedGallery(index_type, metric, dimension, MODEL)
    return jobs.begin(job_id, HOLDER, wanted, total, "fingerprint")


def rows(
    start: int, count: int, rejected: Collection[int] = (), *, of: Vectors = ALL
) -> SettledRows:
    """Of positions from ``start`` on, with the vectors ``of`` that; ``rejected`` are positions."""
    positions = range(start, start + count)
    return SettledRows(
        start,
        start + count,
        [
            SettledRow(
                position=position,
                source=f"/photos/{position}.jpg",
                label=f"person {position}",
                outcome=RowOutcome.REJECTED if position in rejected else RowOutcome.ACCEPTED,
                reason="no face" if position in rejected else "",
            )
            for position in positions
        ],
        np.array([of[p] for p in positions if p not in rejected], np.float32).reshape(
            -1, of.shape[1]
        ),
    )
