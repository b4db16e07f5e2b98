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

    Templates keep their ids. Needs a gallery that was built with --keep-sources.
    """
    from serve_app.jobs.sources import write_sources

    service = read_service_args(config, data_dir, os.environ)
    name = job_name(job_id)
    table = service.data_dir / "jobs" / f"{name}-sources.parquet"
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        info = store.entry(key).info
        if not table.exists():  # a job that goes on needs the rows that it began with
            print(f"{write_sources(store, key, table)} images of gallery {key}")
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
    )
    found = dashboard_of(address, service.data_dir, os.environ)
    from serve_app.jobs.submission import Submission

    words = command_of(request, name, config, service)
    code = Submission(found).run(words, name, say)
    if code == 0:
        table.unlink()
    raise typer.Exit(code)
