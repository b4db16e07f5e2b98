"""A bare image file: the body is the image, the query says all else."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from serve_app.api.address import query_values


def is_image(kind: str) -> bool:
    """Whether a content type, in lower case and without parameters, is an image's. Which one it is
    the file itself says."""
    return kind.startswith("image/")


def values(request: Request, body: bytes) -> dict[str, Any]:
    """Raises InvalidRequestError for a query that is no UTF-8."""
    return {**query_values(request), "image": body}
