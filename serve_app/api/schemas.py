"""The wire's words: bodies of requests and replies, as CONTRACT 1 writes them.

With ``gallery_schemas`` and ``job_schemas`` the only place with camelCase names. Types are lax as
PaddleX's are: ``"99"``, ``1.0`` and ``true`` are integers. Unknown fields are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import pybase64
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    SerializeAsAny,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from serve_app import policy
from serve_app.api.sources import ImageSource
from serve_app.errors import InvalidRequestError
from serve_app.types import Consistency, IndexType, Metric

MAX_TOP_K = 1000
MAX_LABEL_LENGTH = 1000
MAX_INDEX_TYPE_LENGTH = 256
MAX_PAIRS = 10_000
MAX_IDS = 100_000
MAX_IMAGES = 64
"""Longer lists are not read to their end. ``limits.pairs`` of the Serve file may be lower."""


class Incoming(BaseModel):
    """A part of a request: the wire's names only."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class Outgoing(BaseModel):
    """A part of a reply: our names inside, the wire's when written."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True)


def _checked_key(key: str) -> str:
    try:
        policy.check_key(key)
    except InvalidRequestError as error:
        raise PydanticCustomError("index_key", "{rule}", {"rule": str(error)}) from None
    return key


def _checked_label(label: str) -> str:
    if "\0" in label:
        raise PydanticCustomError("label", "a label can't hold the character NUL")
    return label


def _checked_index_type(index_type: str) -> str:
    if not index_type.isprintable():
        raise PydanticCustomError("index_type", "an index type has printable characters only")
    return index_type


NAME_SCHEMA: dict[str, JsonValue] = {
    "minLength": 1,
    "maxLength": policy.MAX_KEY_LENGTH,
    "pattern": policy.NAME_PATTERN,
}
"""What the document says of keys and ids beside their rule in words; the validator judges."""
Key = Annotated[
    str,
    AfterValidator(_checked_key),
    Field(
        description="Key of a gallery. " + policy.KEY_RULE[0].upper() + policy.KEY_RULE[1:],
        json_schema_extra=NAME_SCHEMA,
    ),
]
Label = Annotated[str, Field(max_length=MAX_LABEL_LENGTH), AfterValidator(_checked_label)]
AnyIndexType = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_INDEX_TYPE_LENGTH,
        description="Flat, IVF or HNSW32, or any string of FAISS's index_factory, like "
        "IVF4096,SQ8; one that can't work is refused with the reason",
        examples=[*IndexType, "IVF4096,SQ8"],
    ),
    AfterValidator(_checked_index_type),
]
TopK = Annotated[int, Field(ge=0, le=MAX_TOP_K)]
Picture = Annotated[
    bytes,
    PlainSerializer(pybase64.b64encode_as_string, return_type=str, when_used="json"),
    Field(description="A JPEG: base64 in JSON, bytes in msgpack"),
]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Request(Incoming):
    log_id: Any = Field(None, description="Echoed in the reply: up to 128 printable characters")


class ImageLabelPair(Incoming):
    image: ImageSource
    label: Label


class _Enrolling(Request):
    image_label_pairs: list[ImageLabelPair] = Field(min_length=1, max_length=MAX_PAIRS)
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="fail: enrol all or nothing; skip: enrol the rest, tell the rejected"
    )
    return_id_map: bool = Field(True, description="false leaves idMap out")


class BuildRequest(_Enrolling):
    index_key: Key | None = Field(None, description="Chosen key; left out, the service makes one")
    index_type: AnyIndexType = IndexType.FLAT.value
    metric_type: Metric = Metric.IP


class AddRequest(_Enrolling):
    index_key: Key | None = Field(None, description="Left out: the default gallery")


class RemoveRequest(Request):
    ids: list[int] = Field(max_length=MAX_IDS)
    index_key: Key | None = Field(None, description="Left out: the default gallery")
    return_id_map: bool = Field(True, description="false leaves idMap out")


class InferRequest(Request):
    image: ImageSource
    index_key: Key | None = Field(None, description="Left out: the default gallery")
    det_threshold: Finite | None = None
    rec_threshold: Finite | None = Field(None, description="In the gallery's own metric")
    hamming_radius: float | None = Field(None, description="Accepted and not used")
    topk: TopK | None = None
    visualize: bool | None = Field(None, description="false leaves image out; default true")
    consistency: Consistency = Field(
        Consistency.STRONG,
        description="strong: sees every change that was answered before, or fails with 503; "
        "eventual: answers from memory where the gallery store is down, and says so",
    )


class RejectedPair(Outgoing):
    position: int
    reason: str


class GalleryResult(Outgoing):
    """``idMap``: id to label. ``rejected`` is there with ``onError: skip`` only."""

    id_map: dict[int, str] | None = None
    image_count: int
    rejected: list[RejectedPair] | None = None


class BuildResult(GalleryResult):
    index_key: str


class RecResult(Outgoing):
    label: str
    score: float


class RecognisedFace(Outgoing):
    bbox: list[float] = Field(min_length=4, max_length=4)
    rec_results: list[RecResult]
    score: float


class InferResult(Outgoing):
    """``image``: with the faces drawn; absent if ``visualize`` is false.
    ``stale``: changes of the gallery may be missing; with ``consistency: eventual`` only."""

    faces: list[RecognisedFace]
    image: Picture | None = None
    stale: Literal[True] | None = None


Result = TypeVar("Result", bound=Outgoing)


class Success(Outgoing, Generic[Result]):
    log_id: str
    error_code: Literal[0] = 0
    error_msg: Literal["Success"] = "Success"
    result: SerializeAsAny[Result]


class Health(Outgoing):
    log_id: str
    error_code: Literal[0] = 0
    error_msg: Literal["Healthy"] = "Healthy"


class Readiness(Outgoing):
    """``stages``: each with what it said."""

    stages: dict[str, str]


class Failure(Outgoing):
    """``errorCode`` is the HTTP status."""

    log_id: str
    error_code: int
    error_msg: str
