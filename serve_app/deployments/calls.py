"""What a batched call to a stage carries, there and back. Knows neither the stages nor how it is
sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from serve_app.errors import FaceServeError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

CallId = tuple[str, int]
"""Unique over all callers: whose call, and its number."""


@dataclass(frozen=True, slots=True)
class StageCall(Generic[Item]):
    """Items of several requests. ``remaining_s``: seconds that each is still waited for, counted
    from the sending: clocks of two machines need not agree. ``traceparents``: the span of each that
    is traced, "" of others; empty if none is."""

    id: CallId
    items: Sequence[Item]
    remaining_s: Sequence[float]
    traceparents: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StageReply(Generic[Answer]):
    """An answer or an error for each item, in order; and for each the seconds that it took by stage
    at the replica, its waiting there included."""

    answers: Sequence[Answer | FaceServeError]
    seconds: Sequence[Mapping[str, float]]
