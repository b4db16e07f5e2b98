"""What goes with a request's work besides its data: until when it is wanted, where its time went.

The same at both ends of a call: the API makes one for each request, a replica one for each item
that it is sent. Must not know HTTP, Ray or queues.

It is a context variable, as deadlines are in gRPC and anyio: the services between the API and the
queues have nothing to decide about it, and passing it by hand would put it into the signature of
every port.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf

STAGES = ("queue", "decode", "detect", "extract", "search", "draw")
"""Where time goes, in the order of a request: the words of ``Server-Timing`` and of the metrics.
``queue`` is all waiting for a turn, at both ends of every call."""


class Spans:
    """Seconds by stage. A request of many images has the sum of what each took."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def add_all(self, seconds: Mapping[str, float]) -> None:
        for stage, taken in seconds.items():
            self.add(stage, taken)

    @contextlib.contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """What happens inside, also if it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)


@dataclass(slots=True)
class RequestContext:
    """``deadline``: when nobody waits any more, of this process's ``time.monotonic``; between
    machines only what is left of it travels. ``timeout_s``: how long that was at the start.
    ``admitted``: a queue has taken work of it, so that none turns it away for being long."""

    deadline: float = inf
    timeout_s: float = inf
    admitted: bool = False
    spans: Spans = field(default_factory=Spans)

    @classmethod
    def within(cls, timeout_s: float, *, admitted: bool = False) -> RequestContext:
        """One whose time starts now."""
        return cls(time.monotonic() + timeout_s, timeout_s, admitted)

    def remaining_s(self, now: float) -> float:
        """Seconds until the deadline; negative past it."""
        return self.deadline - now


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current_request() -> RequestContext:
    """That of the request that is being answered; a fresh one without a deadline outside of any."""
    return _current.get() or RequestContext()


@contextlib.contextmanager
def in_request(context: RequestContext) -> Iterator[None]:
    """Everything inside, tasks that are started there included, belongs to ``context``."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
