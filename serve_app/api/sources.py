"""What the ``image`` of a request may be: text in every form, bytes and arrays in binary ones.

Owns the wire's words for an image. Must not know how one is fetched, decoded or checked further
than its type.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Strict,
    Tag,
)
from pydantic_core import CoreSchema, core_schema

Side = Annotated[int, Field(strict=True, ge=1)]


class ImageArray(BaseModel):
    """Pixels as they are: ``shape`` is (height, width, 3), ``data`` the rows from the top, C order.

    ``float32`` is little-endian, 0 to 255. ``order``: which colour of a pixel comes first.
    """

    model_config = ConfigDict(frozen=True)

    shape: tuple[Side, Side, Literal[3]]
    dtype: Literal["uint8", "float32"]
    data: Annotated[bytes, Strict()]
    order: Literal["RGB", "BGR"] = "RGB"


def _kind(value: object) -> str | None:
    """Which of the three a value is: the others need no look then, and make no messages."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bytes):
        return "file"
    return "array" if isinstance(value, dict | ImageArray) else None


class _TextInJson:
    """In JSON only text: its messages and its speed are those of a plain string."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.json_or_python_schema(core_schema.str_schema(), handler(source))


ImageSource = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[bytes, Tag("file")]
    | Annotated[ImageArray, Tag("array")],
    Discriminator(
        _kind,
        custom_error_type="image_type",
        custom_error_message="Input should be a URL or base64, the bytes of an image file, or an "
        "array {shape, dtype, data}",
    ),
    _TextInJson(),
    Field(
        description="http(s) URL of an image file, or its bytes in base64, with or without data:"
    ),
]
