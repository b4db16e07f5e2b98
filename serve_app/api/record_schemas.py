"""The wire's words of people's data and of the audit log."""

from __future__ import annotations

from typing import Annotated

import pybase64
from pydantic import AwareDatetime, BeforeValidator, Field, PlainSerializer

from serve_app import policy
from serve_app.api.gallery_schemas import FIRST_PAGE, Limit, Time, none_of_empty
from serve_app.api.schemas import Incoming, Key, Label, Outgoing
from serve_app.held import Where
from serve_app.service import DEFAULT_PAGE

_NAME = policy.NAME_PATTERN.removeprefix("^").removesuffix("$")
_NUMBER = "[0-9]{1,18}"
HELD_PLACE = rf"^(t\.{_NUMBER}\.{_NUMBER}|r\.{_NUMBER}\.{_NAME})$"
AUDIT_PLACE = rf"^[0-9]{{1,15}}\.{_NUMBER}\.{_NAME}$"
MAX_PLACE = 200
HeldPlaceText = Annotated[str, Field(pattern=HELD_PLACE, max_length=MAX_PLACE)]
AuditPlaceText = Annotated[str, Field(pattern=AUDIT_PLACE, max_length=MAX_PLACE)]

Embedding = Annotated[
    bytes,
    PlainSerializer(pybase64.b64encode_as_string, return_type=str, when_used="json"),
    Field(description="Little-endian float32: base64 in JSON, bytes in msgpack"),
]


class PersonPath(Incoming):
    label: Label = Field(
        description="In percent encoding, '/' too (%2F). Empty: whose label is empty. The labels "
        "'.' and '..' can't be named here, as clients shorten such addresses: use the commands"
    )


class PersonQuery(Incoming):
    embeddings: bool = Field(False, description="With the embeddings: they are biometric data")
    after: Annotated[HeldPlaceText | None, BeforeValidator(none_of_empty)] = Field(
        None, description=FIRST_PAGE
    )
    limit: Limit = DEFAULT_PAGE


class AuditParameters(Incoming):
    index_key: Annotated[Key | None, BeforeValidator(none_of_empty)] = Field(
        None, description="Only of this gallery"
    )
    since: AwareDatetime | None = Field(None, description="Only from then on: ISO 8601 with a zone")
    until: AwareDatetime | None = Field(None, description="Only before: ISO 8601 with a zone")
    after: Annotated[AuditPlaceText | None, BeforeValidator(none_of_empty)] = Field(
        None, description=FIRST_PAGE
    )
    limit: Limit = DEFAULT_PAGE


class PersonTemplate(Outgoing):
    """``addedAt`` is absent where nobody knows any more, ``source`` where it was not kept."""

    id: int
    added_at: Time | None = None
    source: str | None = Field(None, description="Where a bulk job read the image")
    embedding: Embedding | None = None


class PersonGallery(Outgoing):
    """``where``: in the gallery as it is served, in the one it replaced (kept for a rollback), or
    in the one that the job ``jobId`` is making."""

    index_key: str
    where: Where
    job_id: str | None = None
    generation: str
    model: str
    templates: list[PersonTemplate]


class PersonRow(Outgoing):
    """A row of a bulk job's input, kept for its report."""

    job_id: str
    index_key: str
    position: int
    outcome: str
    reason: str
    source: str


class PersonDetail(Outgoing):
    """``next`` is absent on the last page. A gallery may go on on the next one."""

    galleries: list[PersonGallery]
    rows: list[PersonRow]
    next: str | None = None


class ErasedPlace(Outgoing):
    """``where``: as in what is held, or ``input``: in rows of a bulk job's input."""

    index_key: str
    where: Where
    job_id: str | None = None
    count: int = Field(description="Of templates, or of rows")


class ErasedPerson(Outgoing):
    """What this request erased: nothing, if nothing was left. ``runningJobs``: of these jobs the
    inputs may bring the label again: erase it once more when they are over, or cancel them."""

    erased: list[ErasedPlace]
    running_jobs: list[str]


class AuditEntry(Outgoing):
    """A row of the audit log. ``actor``: an API key's id; ``result``: "ok" or an error's code;
    ``ids``: of templates, runs as FIRST-LAST; ``digest``: of this row and all before it, in hex."""

    index_key: str
    number: int
    at: Time
    actor: str
    address: str
    action: str
    result: str
    generation: str
    seq: int
    ids: str = Field(examples=["0-41,50"])
    count: int
    operation: str
    digest: str


class AuditList(Outgoing):
    """By time. ``next`` is absent on the last page."""

    rows: list[AuditEntry]
    next: str | None = None
