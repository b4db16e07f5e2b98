"""multipart/form-data (RFC 7578) to its parts.

Owns how many parts there may be and how large their headers; the parser holds these limits while it
reads. Must not know what the parts mean.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from serve_app.api.errors import invalid_field
from serve_app.errors import FaceServeError, TooLargeError

KIND = "multipart/form-data"
HEADERS = 8
"""Of one part; clients send one to three."""
HEADER_BYTES = 4096
TURN_BYTES = 1024 * 1024
"""After so many bytes of parts other requests get their turn: it takes 0.1 to 0.5 ms."""
PART_BYTES = 4096
"""What a part costs beside its content, in bytes of content."""


@dataclass(frozen=True, slots=True)
class Part:
    """``is_file``: it has a file name, or a content type that is no text."""

    name: str
    content: bytes
    is_file: bool


async def split(body: bytes, content_type: str, most_parts: int) -> list[Part]:
    """The parts of a body, in their order.

    Raises TooLargeError over a limit, InvalidRequestError for what is no multipart/form-data.
    """
    parts: list[Part] = []
    content: list[bytes] = []
    segment: MultipartSegment | None = None
    since_turn = 0
    try:
        with PushMultipartParser(
            _boundary(content_type),
            max_header_count=HEADERS,
            max_header_size=HEADER_BYTES,
            max_segment_count=most_parts,
            strict=True,
        ) as parser:
            # The whole body is one chunk: the parser copies nothing but each part's content then.
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment = event
                elif event is not None:
                    content.append(event)
                elif segment is not None:
                    parts.append(_part(segment, b"".join(content)))
                    since_turn += len(parts[-1].content) + PART_BYTES
                    content.clear()
                if since_turn >= TURN_BYTES:
                    since_turn = 0
                    await asyncio.sleep(0)
    except MultipartError as error:
        raise _refusal(error, most_parts) from None
    return parts


def without_boundary(body: bytes, content_type: str) -> bytes:
    """A body as it is when it is sent again: clients draw another boundary each time."""
    return body.replace(_boundary(content_type).encode(), b"")


def _boundary(content_type: str) -> str:
    boundary: str = parse_options_header(content_type)[1].get("boundary", "")
    if not boundary:
        raise invalid_field(
            "multipart_invalid",
            "",
            "The content type of multipart/form-data should have a boundary",
        )
    return boundary


def _part(segment: MultipartSegment, content: bytes) -> Part:
    kind = segment.content_type or "text/plain"
    is_file = segment.filename is not None or not kind.startswith("text/")
    return Part(segment.name or "", content, is_file)


def _refusal(error: MultipartError, most_parts: int) -> FaceServeError:
    if isinstance(error, ParserLimitReached):
        return TooLargeError(
            f"the body has more than {most_parts} parts, or a part more than {HEADERS} headers or "
            f"a header of more than {HEADER_BYTES} bytes"
        )
    return invalid_field(
        "multipart_invalid",
        "",
        "Input should be multipart/form-data (RFC 7578): a boundary, the header of a part or the "
        "end of the body is missing or damaged",
    )
