"""Jobs of the tests: rows as a job settles them, each with the one embedding of its label."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.types import GalleryInfo, Job, JobMode, Metric

from .busy import embeddings_of
from .samples import DIMENSION, MODEL

FLAT = StagedGallery("Flat", Metric.IP, DIMENSION, MODEL)
HOLDER = "me"
HOLD_S = 60.0


def row(
    position: int,
    label: str | None = None,
    outcome: RowOutcome = RowOutcome.ACCEPTED,
    *,
    reason: str = "",
    digest: bytes | None = None,
    number: int | None = None,
) -> SettledRow:
    name = f"new {position}" if label is None else label
    source = f"/photos/{position}.jpg"
    return SettledRow(position, source, name, outcome, reason, digest, number)


def settled(rows: Sequence[SettledRow]) -> SettledRows:
    labels = [each.label for each in rows if each.outcome is RowOutcome.ACCEPTED]
    start = rows[0].position
    return SettledRows(start, start + len(rows), list(rows), embeddings_of(labels).vectors)


def plain(start: int, count: int) -> SettledRows:
    """Accepted rows whose labels are ``new POSITION``."""
    return settled([row(position) for position in range(start, start + count)])


def begun(
    jobs: JobStore,
    job_id: str = "job",
    key: str = "staff",
    mode: JobMode = JobMode.CREATE,
    *,
    holder: str = HOLDER,
    wanted: StagedGallery = FLAT,
    total: int | None = None,
) -> Job:
    """A job that is being run by ``holder``, with nothing staged yet."""
    jobs.submit(job_id, key, mode, "{}", "digest")
    jobs.take(job_id, holder, HOLD_S)
    return jobs.begin(job_id, holder, wanted, total, "fingerprint")


def published(
    store: GalleryStore,
    job_id: str = "job",
    key: str = "staff",
    mode: JobMode = JobMode.CREATE,
    count: int = 3,
    *,
    keep_sources: bool = False,
    wanted: StagedGallery = FLAT,
) -> GalleryInfo:
    """A whole job."""
    jobs = JobStore(store)
    begun(jobs, job_id, key, mode, wanted=wanted)
    jobs.stage(job_id, HOLDER, plain(0, count), keep_sources=keep_sources)
    return jobs.publish(job_id, HOLDER, "published")


def new(count: int) -> dict[int, str]:
    """Ids and labels of what ``published`` publishes."""
    return {number: f"new {number}" for number in range(count)}
