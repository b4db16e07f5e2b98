"""The wire's words of the gallery operations: what is in their paths and queries, and replies."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from serve_app import policy
from serve_app.api.schemas import Incoming, Key, Label, Outgoing
from serve_app.service import DEFAULT_PAGE, MAX_PAGE
from serve_app.types import Metric


def none_of_empty(value: object) -> object:
    return None if value == "" else value


Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Length of a page")]
TemplateId = Annotated[int, Field(ge=0, le=policy.MAX_TEMPLATE_ID)]
FIRST_PAGE = "`next` of the page before; left out or empty, the first page"
Time = Annotated[str, Field(description="ISO 8601, UTC", examples=["2026-01-31T12:00:00.000Z"])]


class GalleryPath(Incoming):
    key: Key


class LabelPath(GalleryPath):
    label: Label = Field(
        description="In percent encoding, '/' too (%2F). Empty: the templates whose label is "
        "empty. The labels '.' and '..' can't be named here, as clients shorten such addresses: "
        "list their templates and remove those by id"
    )


class GalleriesQuery(Incoming):
    after: Annotated[Key | None, BeforeValidator(none_of_empty)] = Field(
        None, description=FIRST_PAGE
    )
    limit: Limit = DEFAULT_PAGE


class TemplatesQuery(Incoming):
    label: Label | None = Field(None, description="Only templates of this label, also of an empty")
    after: Annotated[TemplateId | None, BeforeValidator(none_of_empty)] = Field(
        None, description=FIRST_PAGE
    )
    limit: Limit = DEFAULT_PAGE


class GallerySummary(Outgoing):
    index_key: str
    index_type: str
    metric_type: Metric
    dimension: int
    model: str
    image_count: int
    created_at: Time
    changed_at: Time


class GalleryDetail(GallerySummary):
    """``generation`` is new with every build, ``seq`` grows with every change; ``snapshot``:
    whether an index of it is stored."""

    generation: str
    seq: int
    snapshot: bool


class GalleryList(Outgoing):
    """By key. ``next`` is absent on the last page."""

    galleries: list[GallerySummary]
    next: str | None = None


class Template(Outgoing):
    id: int
    label: str


class TemplateList(Outgoing):
    """By id. ``next`` is absent on the last page."""

    templates: list[Template]
    next: int | None = None


class Count(Outgoing):
    """Of a removed gallery: how many templates went with it. Else: how many there are."""

    image_count: int


class Removal(Outgoing):
    """``ids``: what was removed; ``imageCount``: what is left."""

    ids: list[int]
    image_count: int
