"""``face-serve-job``: runs a bulk job in the Ray cluster that it is started in, as
``ray job submit -- face-serve-job KEY INPUT`` does. ``face-serve gallery build`` sends it there."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, read_service_args
from serve_app.cli.job_options import (
    FAILED,
    UNFINISHED,
    FailFastOption,
    IndexTypeOption,
    InPlaceOfOption,
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
)
from serve_app.cli.main import run_app
from serve_app.cli.output import complain

app = typer.Typer(
    name="face-serve-job",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
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
    in_place_of: InPlaceOfOption = None,
    report: ReportOption = None,
    detectors: Annotated[
        int | None, typer.Option(min=1, help="Actors that detect; else as the Serve file says.")
    ] = None,
    extractors: Annotated[
        int | None, typer.Option(min=1, help="Actors that embed; else as the Serve file says.")
    ] = None,
    job_id: JobIdOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Enrol a directory, a table or an object store into a gallery, which changes all at once.

    \b
    Exit codes:
      0  done
      2  it can't work or was cancelled, and nothing was changed
      3  it broke off: start it again with the same --job-id, and it goes on where it was
    """
    request = request_of(
        key=key, input=input, mode=mode, kind=kind, root=root, model_id=model_id, pipeline=pipeline,
        index_type=index_type, metric=metric, fail_fast=fail_fast, max_rejected=max_rejected,
        duplicates="skip" if skip_duplicates else "keep", same_face=same_face,
        keep_sources=keep_sources, in_place_of=in_place_of, report=report,
    )  # fmt: skip
    name = job_name(job_id)
    service = read_service_args(config, data_dir, os.environ)
    counts = {"detectors": detectors, "extractors": extractors}
    chosen = {name: count for name, count in counts.items() if count is not None}
    service = service.model_copy(update={"jobs": service.jobs.model_copy(update=chosen)})
    import ray
    from ray.exceptions import RayError, RayTaskError

    from serve_app.errors import (
        JobChangedError,
        JobConflictError,
        JobLostError,
        UnavailableError,
    )
    from serve_app.jobs.build_gallery import submitted_job
    from serve_app.types import JobState

    print(f"job {name}", flush=True)
    ray.init(log_to_driver=False, logging_level="ERROR")
    try:
        job = submitted_job(name, request, service, os.environ, say=_say)
    except JobChangedError:  # by the same command it can't be begun again
        raise
    except (JobConflictError, JobLostError, UnavailableError) as error:
        complain(f"{error}; job {name} can be begun again")
        raise typer.Exit(UNFINISHED) from None
    except RayTaskError:  # of our own code
        raise
    except RayError as error:
        kind = type(error).__name__
        complain(f"the cluster lost the job's actors ({kind}); job {name} can be begun again")
        raise typer.Exit(UNFINISHED) from None
    finally:
        ray.shutdown()
    if job.state is not JobState.DONE:
        complain(f"nothing was changed: {job.message}")
        raise typer.Exit(FAILED)
    print(f"gallery {key}: {job.message}")


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    run_app(app)
