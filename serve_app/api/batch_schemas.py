"""The wire's words of the operation on several images: its request and its reply."""

from __future__ import annotations

from pydantic import Field

from serve_app.api.schemas import (
    MAX_IMAGES,
    Finite,
    InferResult,
    Key,
    Outgoing,
    Request,
    TopK,
)
from serve_app.api.sources import ImageSource
from serve_app.types import Consistency


class BatchRequest(Request):
    images: list[ImageSource] = Field(min_length=1, max_length=MAX_IMAGES)
    index_key: Key | None = Field(None, description="Left out: the default gallery")
    det_threshold: Finite | None = None
    rec_threshold: Finite | None = Field(None, description="In the gallery's own metric")
    topk: TopK | None = None
    visualize: bool | None = Field(None, description="true draws the faces; default false")
    consistency: Consistency = Field(Consistency.STRONG, description="As infer has it")


class ImageError(Outgoing):
    """``errorCode`` is the HTTP status that infer would have for this image."""

    error_code: int
    error_msg: str


class FailedImage(Outgoing):
    error: ImageError


class BatchResult(Outgoing):
    """``results``: of each image, in their order."""

    results: list[InferResult | FailedImage]
