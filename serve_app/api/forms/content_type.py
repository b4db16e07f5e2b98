"""What a request says its body is."""

from __future__ import annotations


def kind_of(content_type: str) -> str:
    """A Content-Type header in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()
