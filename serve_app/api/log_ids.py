"""Log ids: one for each request, the client's own where it is fit for a reply and a log line."""

from __future__ import annotations

from uuid import uuid4

MAX_LOG_ID_LENGTH = 128


def new_log_id() -> str:
    return str(uuid4())


def usable_log_id(value: object) -> str | None:
    """A client's log id if it is fit for a reply and a log line: 1 to 128 printable characters."""
    if isinstance(value, str) and 0 < len(value) <= MAX_LOG_ID_LENGTH and value.isprintable():
        return value
    return None
