"""msgpack to plain values: the same objects as in JSON, with bytes where they are bytes.

Owns what such a body may cost: declared sizes are refused before anything is reserved, and what is
nested is counted. Sizes of images are not its business.
"""

from __future__ import annotations

from typing import Any

import msgpack

from serve_app.api.errors import NOT_AN_OBJECT, invalid_field
from serve_app.api.forms.json_form import MAX_JSON_VALUES
from serve_app.errors import FaceServeError, InvalidRequestError, TooLargeError

KINDS = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")
"""The registered content type is the last; most clients send the first."""

MAX_KEYS = 64
"""Of one map."""


def is_msgpack(kind: str) -> bool:
    """Whether a content type, in lower case and without parameters, is msgpack."""
    return kind in KINDS


def values(body: bytes, longest_list: int) -> dict[str, Any]:
    """The object in a body, its lists up to ``longest_list`` long.

    Raises TooLargeError for a longer one, InvalidRequestError for what is no msgpack, and for ext
    types and keys that are no strings.
    """
    count = _Count()
    try:
        unpacked = msgpack.unpackb(
            body,
            max_array_len=longest_list,
            max_map_len=MAX_KEYS,
            max_ext_len=0,
            list_hook=count.list,
            object_hook=count.map,
        )
    except FaceServeError:
        raise
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise _refusal(error, longest_list) from None
    if not isinstance(unpacked, dict):
        raise invalid_field("model_attributes_type", "", NOT_AN_OBJECT)
    return unpacked


class _Count:
    """Counts the values of one body as they are completed."""

    def __init__(self) -> None:
        self._values = 0

    def list(self, values: list[Any]) -> list[Any]:
        self._add(len(values))
        return values

    def map(self, values: dict[Any, Any]) -> dict[Any, Any]:
        self._add(len(values))
        if not all(isinstance(key, str) for key in values):
            raise invalid_field("msgpack_invalid", "", "Keys should be strings")
        return values

    def _add(self, size: int) -> None:
        self._values += size + 1
        if self._values > MAX_JSON_VALUES:
            raise TooLargeError(
                f"the body holds more than {MAX_JSON_VALUES} values: send it in several requests"
            )


def _refusal(error: Exception, longest_list: int) -> FaceServeError:
    if "max_array_len" in str(error):
        return TooLargeError(
            f"a list of the body is longer than {longest_list}: send it in several requests"
        )
    if isinstance(error, msgpack.ExtraData):
        return _invalid("Nothing should follow the object")
    return _invalid(
        "Input should be one whole msgpack object of maps, lists, strings, bytes and numbers, "
        "without extension types"
    )


def _invalid(message: str) -> InvalidRequestError:
    return invalid_field("msgpack_invalid", "", message)
