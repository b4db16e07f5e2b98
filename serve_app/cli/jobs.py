"""``face-serve jobs``: bulk jobs, as the database knows them."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store
from serve_app.cli.output import table

if TYPE_CHECKING:
    from serve_app.types import Job

app = typer.Typer(help="List bulk jobs, show what one rejected, cancel one.",
                  no_args_is_help=True, rich_markup_mode=None)  # fmt: skip

LISTED = 100
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@app.command("list")
def list_jobs(config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None) -> None:
    """The newest jobs, a line each."""
    from serve_app.index.store.job_store import JobStore

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        jobs = JobStore(store).jobs(LISTED)
    rows = [("id", "gallery", "mode", "state", "rows", "accepted", "rejected", "begun", "message")]
    print(table([*rows, *(_row(job) for job in jobs)]))


@app.command()
def rejected(
    job_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None
) -> None:
    """What was not enrolled, and why: row, source, label, reason."""
    from serve_app.index.store.job_store import JobStore

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        jobs, after = JobStore(store), -1
        jobs.job(job_id)
        while page := jobs.rejections(job_id, after, LISTED):
            for row in page:
                print(f"{row.position}\t{row.source}\t{row.label}\t{row.reason}")
            after = page[-1].position


@app.command()
def cancel(
    job_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None
) -> None:
    """End a job: nothing is left of what it staged. Whoever runs it stops within seconds."""
    from serve_app.index.store.job_store import JobStore
    from serve_app.types import JobState

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        job = JobStore(store).end(job_id, JobState.CANCELLED, "cancelled")
    print(f"job {job_id}: {job.state}")


def _row(job: Job) -> tuple[str, ...]:
    begun = datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec="seconds")
    rows = f"{job.done} of {'?' if job.total is None else job.total}"
    counts = (str(job.accepted), str(job.rejected))
    return (job.id, job.key, job.mode, job.state, rows, *counts, begun, job.message)
