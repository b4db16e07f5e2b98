"""The wire's words of bulk jobs: what they are asked, what is in their addresses, and replies."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from serve_app import policy
from serve_app.api.gallery_schemas import FIRST_PAGE, Limit, Time, none_of_empty
from serve_app.api.schemas import (
    NAME_SCHEMA,
    AnyIndexType,
    Finite,
    Incoming,
    Key,
    Outgoing,
    Request,
)
from serve_app.config import InputKind, rejected_limit
from serve_app.errors import InvalidRequestError
from serve_app.service import DEFAULT_PAGE
from serve_app.types import JobMode, JobState, Metric

MAX_PLACE_LENGTH = 4096
MAX_POSITION = 2**63 - 1

_LIMIT = re.compile(r"[0-9]{1,12}|[0-9]{1,3}(\.[0-9]{1,6})?%")


def _checked_id(job_id: str) -> str:
    try:
        policy.check_job_id(job_id)
    except InvalidRequestError as error:
        raise PydanticCustomError("job_id", "{rule}", {"rule": str(error)}) from None
    return job_id


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked_limit(text: str) -> str:
    try:
        if _LIMIT.fullmatch(text):
            rejected_limit(text, 100)
            return text
    except ValueError:
        pass
    raise PydanticCustomError("max_rejected", "write a whole number of rows, or a share such as 5%")


JobId = Annotated[
    str,
    AfterValidator(_checked_id),
    Field(
        description="Of a job. " + policy.JOB_ID_RULE[0].upper() + policy.JOB_ID_RULE[1:],
        json_schema_extra=NAME_SCHEMA,
    ),
]
Place = Annotated[str, Field(min_length=1, max_length=MAX_PLACE_LENGTH)]


class JobBody(Request):
    """Unlike elsewhere, fields that are not known are refused: a misspelt one would be found out
    after hours."""

    key: Key
    input: Place = Field(
        description="Absolute path or URL (s3://, gs://, http(s)) that jobs.inputs of the Serve "
        "file allows: of an annotation file or the directory that holds gallery.txt, of a "
        "directory with a folder for each person, or of a table (CSV, Parquet)"
    )
    mode: JobMode = Field(
        JobMode.CREATE,
        description="create: a gallery that is not there yet; append: at the end of one; replace: "
        "in the place of one, if there is one",
    )
    kind: InputKind = "auto"
    root: Place | None = Field(
        None, description="Where relative paths of the input begin; left out, where it lies"
    )
    model_id: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        None, description="Of ready embeddings"
    )
    index_type: AnyIndexType | None = Field(
        None,
        description="Left out, that of the gallery that is replaced, else Flat up to 100,000 rows "
        "and HNSW32 above",
    )
    metric_type: Metric | None = Field(
        None, description="Left out, that of the gallery that is replaced, else IP"
    )
    max_rejected: (
        Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_checked_limit)] | None
    ) = Field(None, description="Rows, or a share (5%); with more rejected the job fails")
    fail_fast: bool = Field(False, description="Fail with the first rejected row")
    duplicates: Literal["keep", "skip"] = Field(
        "keep", description="skip: enrol an image that comes again with the same label once"
    )
    same_face: Annotated[Finite, Field(ge=-1, le=1)] | None = Field(
        None, description="Report faces at least so close (cosine) under different labels"
    )
    keep_sources: bool = Field(
        False, description="Keep where each image was, so that it can be embedded anew"
    )
    job_id: JobId | None = Field(
        None, description="Chosen id: sent again, the job goes on. Left out, the service makes one"
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: Any) -> Any:
        known = {field.alias or name for name, field in cls.model_fields.items()}
        if isinstance(values, dict) and not values.keys() <= known:
            # Not named: nothing that a client sent is part of a message.
            raise PydanticCustomError(
                "unknown_field",
                "Unknown fields; known are {known}",
                {"known": ", ".join(sorted(known))},
            )
        return values


class JobPath(Incoming):
    job_id: JobId = Field(alias="id")


class JobsQuery(Incoming):
    limit: Limit = DEFAULT_PAGE


Position = Annotated[int, Field(ge=0, le=MAX_POSITION)]


class RejectedQuery(Incoming):
    after: Annotated[Position | None, BeforeValidator(none_of_empty)] = Field(
        None, description=FIRST_PAGE
    )
    limit: Limit = DEFAULT_PAGE


class JobCounts(Outgoing):
    """Rows of the input. ``total`` is absent until it was looked at; the first ``done`` are
    settled."""

    total: int | None = None
    done: int
    accepted: int
    rejected: int
    duplicates: int


class JobFacts(Outgoing):
    """``message``: of a job that is over; ``rate``: rows a second; ``timeLeft``: seconds, absent
    where unknown."""

    job_id: str
    key: str
    mode: JobMode
    state: JobState
    message: str
    counts: JobCounts
    rate: float
    time_left: float | None = None
    created_at: Time
    changed_at: Time


class JobList(Outgoing):
    """The newest first."""

    jobs: list[JobFacts]


class RejectedRow(Outgoing):
    position: int
    source: str
    label: str
    reason: str


class RejectedList(Outgoing):
    """By position. ``next`` is absent on the last page."""

    rejected: list[RejectedRow]
    next: int | None = None
