"""What a bulk job is asked on a command line: the same for one that is run here and one that is
sent to a cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

import typer

from serve_app.errors import ConfigError

if TYPE_CHECKING:
    from serve_app.config import JobRequest

# As serve_app.types has them: importing that takes NumPy, which the help can do without.
Mode = Literal["create", "append", "replace"]
MetricName = Literal["IP", "L2"]

FAILED, UNFINISHED = 2, 3
"""Exit codes of a job: it can't work; it broke off and can be begun again."""

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The gallery's key.")]
InputArgument = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help="A directory with gallery.txt or with a folder for each person, an annotation file, "
        "or a table (CSV, Parquet): a path, s3://, gs:// or http(s) URL that the cluster can read.",
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option(help="create a new gallery, append to one, or replace what is there."),
]
KindOption = Annotated[
    str, typer.Option(help="annotation, directory, table or embeddings; auto looks.")
]
RootOption = Annotated[
    str | None, typer.Option(help="Where relative paths of the input begin, if not beside it.")
]
ModelIdOption = Annotated[str | None, typer.Option(help="Of the model that made ready embeddings.")]
PipelineOption = Annotated[
    str | None,
    typer.Option("--pipeline", metavar="FILE", help="A pipeline file, instead of the service's."),
]
IndexTypeOption = Annotated[
    str | None,
    typer.Option(
        help="Flat, IVF, HNSW32 or a FAISS factory string. Left out: that of the gallery that is "
        "replaced, else Flat up to 100,000 rows and HNSW32 above."
    ),
]
MetricOption = Annotated[
    MetricName | None,
    typer.Option(
        "--metric",
        help="IP (cosine) or L2. Left out: that of the gallery that is replaced, else IP.",
    ),
]
FailFastOption = Annotated[
    bool, typer.Option("--fail-fast", help="Give up at the first row that is rejected.")
]
MaxRejectedOption = Annotated[
    str | None,
    typer.Option(metavar="N|P%", help="Give up when more rows are rejected: 100, or 5%."),
]
SkipDuplicatesOption = Annotated[
    bool,
    typer.Option(
        "--skip-duplicates", help="Enrol an image that comes again with the same label only once."
    ),
]
SameFaceOption = Annotated[
    float | None,
    typer.Option(
        metavar="COSINE",
        help="Report faces that are so close under different labels.",
    ),
]
KeepSourcesOption = Annotated[
    bool,
    typer.Option(
        "--keep-sources",
        help="Keep where each image was, so that `gallery reembed` can read it again.",
    ),
]
InPlaceOfOption = Annotated[
    str | None,
    typer.Option(metavar="GENERATION@SEQ", help="Set by `gallery reembed`.", hidden=True),
]
ReportOption = Annotated[
    str | None,
    typer.Option(metavar="FILE|URL", help="Parquet file of what became of each row."),
]
JobIdOption = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Of a job that goes on where it was left; or a name for a new one."
    ),
]


def request_of(**facts: Any) -> JobRequest:
    """Raises ConfigError that names what is wrong."""
    from serve_app.config import JobRequest, validate
    from serve_app.policy import check_name
    from serve_app.types import JobMode

    request = validate(JobRequest, facts, "")
    check_name(request.key)
    if request.mode is JobMode.APPEND and request.index_type is not None:
        raise ConfigError("--index-type: a gallery that is appended to keeps its own")
    return request


def job_name(given: str | None) -> str:
    """``given``, or a new one: it is part of a file's name and of a URL. Raises ConfigError."""
    if given is None:
        return uuid4().hex
    if not NAME.fullmatch(given):
        raise ConfigError("--job-id: up to 64 ASCII letters, digits, '.', '_' or '-', no '.' first")
    return given


def words_of(request: JobRequest) -> list[str]:
    """``face-serve-job``'s arguments that make the same request."""
    words = [request.key, request.input]
    for name, value in request.model_dump(mode="json", exclude_defaults=True).items():
        option = "--" + name.replace("_", "-")
        if name in ("key", "input"):
            continue
        if name == "duplicates":
            words.append("--skip-duplicates")
        elif value is True:
            words.append(option)
        else:
            words += [option, str(value)]
    return words
