"""What goes with a request's work besides its data: until when it is wanted, where its time went,
who traces it.

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

from serve_app.types import ANONYMOUS, Caller

STAGES = ("queue", "decode", "detect", "extract", "search", "draw")
"""Where time goes, in the order of a request: the words of ``Server-Timing`` and of the metrics.
``queue`` is all waiting for a turn, at both ends of every call."""


class Trace:
    """A span of a distributed trace, as far as the stages know it: this one is of what nobody
    traces, and does nothing. ``serve_app.tracing`` has the other.

    ``traceparent``: its name for another process, as W3C Trace Context writes it; "" for none.
    """

    traceparent = ""
    trace_id = ""

    def begin(self, _name: str, /) -> Trace:
        """A span within it, until its ``end``."""
        return self

    def past(self, _name: str, _seconds: float, /) -> None:
        """A span within it that ends now and began so many seconds ago."""

    def note(self, _attributes: Mapping[str, str | int], /) -> None:
        """Attributes hold no label, key, path, address or embedding."""

    def end(self, _name: str = "", /) -> None:
        """With a better name than it began with, if one is given."""


UNTRACED = Trace()


class Spans:
    """Seconds by stage. A request of many images has the sum of what each took; its ``trace`` has
    each alone."""

    def __init__(self, seconds: Mapping[str, float] | None = None, trace: Trace = UNTRACED) -> None:
        self.seconds = dict(seconds or {})
        self.trace = trace

    def add(self, stage: str, seconds: float) -> None:
        """What ends now."""
        self._sum(stage, seconds)
        if self.trace is not UNTRACED:
            self.trace.past(stage, seconds)

    def add_all(self, seconds: Mapping[str, float]) -> None:
        """What another process found, and traced itself."""
        for stage, taken in seconds.items():
            self._sum(stage, taken)

    @contextlib.contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """What happens inside, also if it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def _sum(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


@dataclass(slots=True)
class RequestContext:
    """``deadline``: when nobody waits any more, of this process's ``time.monotonic``; between
    machines only what is left of it travels. ``timeout_s``: how long that was at the start.
    ``admitted``: a queue has taken work of it, so that none turns it away for being long.
    ``caller``: who asks, as the API has found out, and ``max_body_bytes`` what it may send.
    ``log_id``, ``failure``: of its answer, once that is made; the latter an error's code."""

    deadline: float = inf
    timeout_s: float = inf
    admitted: bool = False
    spans: Spans = field(default_factory=Spans)
    caller: Caller = ANONYMOUS
    max_body_bytes: float = inf
    log_id: str = ""
    failure: str = ""

    @classmethod
    def within(
        cls, timeout_s: float, *, admitted: bool = False, trace: Trace = UNTRACED
    ) -> RequestContext:
        """One whose time starts now."""
        return cls(time.monotonic() + timeout_s, timeout_s, admitted, Spans(trace=trace))

    def set_timeout(self, timeout_s: float) -> None:
        """Its time starts now."""
        self.deadline, self.timeout_s = time.monotonic() + timeout_s, timeout_s

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
