"""What Schemathesis is told by its process: SCHEMATHESIS_HOOKS names this module.

Owns the registrations: requests in depth, msgpack, and the check for leaks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgpack
import schemathesis
from hypothesis.strategies import SearchStrategy, composite, integers
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.transport.serialization import Binary

from tests.fuzzing.depth import KEY, body_in_depth, headers_in_depth, path_in_depth
from tests.fuzzing.leaks import leaks_of, leaks_of_text, marks_of
from tests.fuzzing.seeds import MARK

MSGPACK = "application/msgpack"
LONG_ADDRESS = 8000
OPAQUE_HEADERS = frozenset({"date", "etag", "last-modified"})


@schemathesis.hook
def flatmap_case(context: HookContext, case: Case[Any]) -> SearchStrategy[Case[Any]]:
    return _in_depth(case)


@composite
def _in_depth(draw: Any, case: Case[Any]) -> Case[Any]:
    """One request in four stays as the document alone made it."""
    if draw(integers(0, 3)) == 0:
        return case
    if case.path_parameters:
        case.path_parameters = draw(path_in_depth(case.path_parameters))
    if isinstance(case.body, Mapping):
        kind = case.media_type or ""
        case.body = draw(body_in_depth(case.body, kind, case.path))
    case.headers.update(draw(headers_in_depth()))
    return case


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: Case[Any], response: Response
) -> bool:
    """The proxy itself answers 400, in HTML, to a head that its buffer can't hold."""
    is_long = len(response.request.url or "") > LONG_ADDRESS
    return not (response.status_code == 400 and is_long)


@schemathesis.serializer(MSGPACK)
def packed(context: Any, value: Any) -> bytes:
    plain = _plain(value)
    return plain if isinstance(plain, bytes) else msgpack.packb(plain, default=str)


def _plain(value: Any) -> Any:
    """As msgpack has it. A number of more than 64 bits becomes text there."""
    if isinstance(value, Binary):
        return value.data
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


@schemathesis.deserializer(MSGPACK)
def unpacked(context: Any, response: Response) -> Any:
    """Pictures as text, as the document has them."""
    return _with_text(_from_msgpack(response.content))


def _from_msgpack(content: bytes) -> Any:
    return msgpack.unpackb(content, strict_map_key=False)


def _with_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "bytes"
            if key in ("image", "embedding") and isinstance(item, bytes)
            else _with_text(item)
            for key, item in value.items()
        }
    return [_with_text(item) for item in value] if isinstance(value, list) else value


@schemathesis.check
def tells_nothing(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """No reply tells where and how the service runs, what a face's embedding is, or what clients
    sent that is nobody else's business: keys, URLs' signatures, comments within pictures."""
    replied = _decoded(response)
    told = repr(response.headers).encode("utf-8") + response.content
    found = marks_of(told, replied, filter(None, (MARK, os.environ.get(KEY))))
    found += [
        leak
        for name, values in response.headers.items()
        if name.lower() not in OPAQUE_HEADERS
        for leak in leaks_of_text(", ".join(values), f"header {name}")
    ]
    if found or replied is None:
        found += leaks_of_text(response.content.decode("utf-8", "replace"), "reply")
    else:
        found += leaks_of(replied, _sent(response))
    assert not found, f"the reply leaks: {', '.join(found)}"


def _decoded(response: Response) -> Any:
    """None for what is neither JSON nor msgpack."""
    kind = ", ".join(response.headers.get("content-type", []))
    try:
        return _from_msgpack(response.content) if MSGPACK in kind else response.json()
    except ValueError:
        return None


def _sent(response: Response) -> str:
    body = response.request.body or b""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return f"{response.request.url}\n{text}"
