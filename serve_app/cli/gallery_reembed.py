"""``face-serve gallery reembed``: a gallery of another model, from the images of the old one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.database import (
    DEFAULT_CONFIG,
    ConfigOption,
    DataDirOption,
    open_store,
    read_service_args,
)
from serve_app.cli.gallery_build import AddressOption, command_of, dashboard_of, say
from serve_app.cli.job_options import (
    UNFINISHED,
    JobIdOption,
    KeyArgument,
    MaxRejectedOption,
    job_name,
    request_of,
)


def reembed(
    key: KeyArgument,
    pipeline: Annotated[
        str,
        typer.Option(
            "--pipeline",
            "--model",
            metavar="FILE",
            help="The pipeline file with the new model; face_recognition is the embedded one.",
        ),
    ],
    max_rejected: MaxRejectedOption = "0",
    job_id: JobIdOption = None,
    address: AddressOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Embed a gallery anew, by another model. The old one serves until the switch; then start the
    service with that pipeline file. `gallery rollback` brings the old one back.

    Templates keep their ids. Needs a gallery that was built with --keep-sources. What is removed
    from the gallery meanwhile stays removed; if something is added, the job fails at its end.
    """
    from serve_app.config import JobRequest
    from serve_app.errors import JobNotFoundError
    from serve_app.index.store.job_store import JobStore
    from serve_app.jobs.sources import write_sources
    from serve_app.tenancy import owned, tenant_of

    service = read_service_args(config, data_dir, os.environ)
    name = job_name(job_id)
    whole = owned(tenant_of(key), name)
    table = service.data_dir / "jobs" / f"{name}-sources.csv"
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        info = store.entry(key).info
        try:  # a job that goes on needs the rows that it began with
            text = JobStore(store).job(whole).request
            in_place_of = JobRequest.model_validate_json(text).in_place_of
        except JobNotFoundError:
            count, moment = write_sources(store, key, table)
            in_place_of = str(moment)
            print(f"{count} images of gallery {key}")
    request = request_of(
        key=key,
        input=str(table),
        kind="table",
        mode="replace",
        pipeline=pipeline if pipeline == "face_recognition" else str(Path(pipeline).absolute()),
        index_type=info.index_type,
        metric=info.metric,
        max_rejected=max_rejected,
        keep_sources=True,
        in_place_of=in_place_of,
    )
    found = dashboard_of(address, service.data_dir, os.environ)
    from serve_app.jobs.submission import Submission

    words = command_of(request, name, config, service)
    code = Submission(found).run(words, name, say)
    if code != UNFINISHED and _is_over(whole, config, data_dir):
        table.unlink(missing_ok=True)  # it holds paths and labels
    raise typer.Exit(code)


def _is_over(name: str, config: Path, data_dir: Path | None) -> bool:
    """Or was never begun. One of this name that was asked for something else may need its table."""
    from serve_app.errors import JobNotFoundError
    from serve_app.index.store.job_store import JobStore

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        try:
            return JobStore(store).job(name).state.is_final
        except JobNotFoundError:
            return True
