"""``face-serve gallery build``: a bulk job in the cluster that serves the gallery."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, read_service_args
from serve_app.cli.job_options import (
    FailFastOption,
    IndexTypeOption,
    InputArgument,
    JobIdOption,
    KeepSourcesOption,
    KeyArgument,
    KindOption,
    MaxRejectedOption,
    MetricOption,
    ModelIdOption,
    ModeOption,
    PipelineOption,
    ReportOption,
    RootOption,
    SameFaceOption,
    SkipDuplicatesOption,
    job_name,
    request_of,
    words_of,
)

if TYPE_CHECKING:
    from serve_app.config import JobRequest, ServiceArgs

PROGRAM = "face-serve-job"
USUAL_ADDRESS = "http://127.0.0.1:8265"
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Of the cluster's dashboard. Left out: RAY_API_SERVER_ADDRESS, else that of the "
        f"service that runs here with the same data directory, else {USUAL_ADDRESS}.",
    ),
]


def build(
    key: KeyArgument,
    input: InputArgument,  # noqa: A002 - its name for the user
    mode: ModeOption = "create",
    kind: KindOption = "auto",
    root: RootOption = None,
    model_id: ModelIdOption = None,
    pipeline: PipelineOption = None,
    index_type: IndexTypeOption = None,
    metric: MetricOption = None,
    fail_fast: FailFastOption = False,
    max_rejected: MaxRejectedOption = None,
    skip_duplicates: SkipDuplicatesOption = False,
    same_face: SameFaceOption = None,
    keep_sources: KeepSourcesOption = False,
    report: ReportOption = None,
    job_id: JobIdOption = None,
    address: AddressOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Enrol a directory, a table or an object store: on the whole cluster, published all at once.

    Follows the job and ends with its exit code. Ctrl-C stops following; the job goes on.
    """
    request = request_of(
        key=key, input=_absolute(input), mode=mode, kind=kind, root=_absolute(root),
        model_id=model_id, pipeline=_pipeline(pipeline), index_type=index_type, metric=metric,
        fail_fast=fail_fast, max_rejected=max_rejected,
        duplicates="skip" if skip_duplicates else "keep", same_face=same_face,
        keep_sources=keep_sources, report=_absolute(report),
    )  # fmt: skip
    name = job_name(job_id)
    service = read_service_args(config, data_dir, os.environ)
    found = dashboard_of(address, service.data_dir, os.environ)
    from serve_app.jobs.submission import Submission

    words = command_of(request, name, config, service)
    raise typer.Exit(Submission(found).run(words, name, say))


def command_of(request: JobRequest, name: str, config: Path, service: ServiceArgs) -> list[str]:
    """The command that makes ``request`` in the cluster."""
    words = [PROGRAM, *words_of(request), "--job-id", name]
    if config != DEFAULT_CONFIG or config.exists():
        words += ["--config", str(config.absolute())]
    return [*words, "--data-dir", str(service.data_dir)]


def dashboard_of(address: str | None, data_dir: Path, environ: MutableMapping[str, str]) -> str:
    """The address to send jobs to. Lets Ray find it, before it is imported, with the token of a
    service that runs here."""
    found = address or environ.get("RAY_API_SERVER_ADDRESS")
    here = data_dir / "ray" / "dashboard"
    if not found and here.exists():
        environ.setdefault("RAY_AUTH_MODE", "token")
        if "RAY_AUTH_TOKEN" not in environ:
            environ.setdefault("RAY_AUTH_TOKEN_PATH", str(data_dir / "ray" / "auth_token"))
        found = here.read_text(encoding="ascii").strip()
    # What Ray's client is given counts for less than this, and than RAY_ADDRESS.
    environ["RAY_API_SERVER_ADDRESS"] = found or USUAL_ADDRESS
    return environ["RAY_API_SERVER_ADDRESS"]


def say(line: str) -> None:
    """At once, into a pipe too."""
    print(line, flush=True)


def _pipeline(given: str | None) -> str | None:
    return given if given == "face_recognition" else _absolute(given)


def _absolute(place: str | None) -> str | None:
    """The cluster's working directory is another."""
    if place is None or "://" in place:
        return place
    return str(Path(place).expanduser().absolute())
