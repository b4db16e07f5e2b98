"""Tracing: OpenTelemetry's spans behind ``request_context.Trace``, and where they are sent.

The one module that knows OpenTelemetry. What is traced is decided where it happens; here are the
spans, their context in W3C's form, the sampling, and the exporters. A span holds names of stages,
counts, a route's pattern and a status: never a label, a key, a path, an address or an embedding,
and no error's text.

OpenTelemetry comes with Ray; it is imported only where tracing is on.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from serve_app.config import TracingConfig
from serve_app.request_context import UNTRACED, Trace

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

SERVICE = "face-serve"
NANO = 1_000_000_000
CONTEXT_HEADERS = (b"traceparent", b"tracestate")

Headers = Iterable[tuple[bytes, bytes]]
"""Of a request, as ASGI has them: names in lower case."""


class Tracing(Protocol):
    """Of one process."""

    def request(self, headers: Headers, /) -> Trace:
        """The span of a request, within the caller's if its ``traceparent`` names one; UNTRACED for
        one that is not sampled."""
        ...

    def within(self, traceparent: str, /) -> Trace:
        """What another process of ours traces: its span, to begin others in; UNTRACED for ""."""
        ...

    def batch(self, name: str, items: Sequence[Trace], /) -> Trace:
        """The span of work that several requests share: it begins now, and links to those of them
        that are traced. UNTRACED if none is."""
        ...


class NoTracing:
    """Tracing that is off."""

    def request(self, _headers: Headers, /) -> Trace:
        return UNTRACED

    def within(self, _traceparent: str, /) -> Trace:
        return UNTRACED

    def batch(self, _name: str, _items: Sequence[Trace], /) -> Trace:
        return UNTRACED


def open_tracing(config: TracingConfig, stage: str) -> Tracing:
    """``stage``: what this process is, in the words of the metrics."""
    if config.exporter == "none":
        return NoTracing()
    return OpenTelemetry(config.sample_ratio, stage, _exporter(config))


class OpenTelemetry:
    """Spans are handed to ``exporter`` by a thread of its own, in batches; what comes faster than
    it takes them is dropped, never waited for."""

    def __init__(self, sample_ratio: float, stage: str, exporter: SpanExporter) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        # Of its own, not OpenTelemetry's global one: that is Ray's, or another application's.
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=Resource.create({"service.name": SERVICE, "face_serve.stage": stage}),
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE)

    def request(self, headers: Headers) -> Trace:
        from opentelemetry.trace import SpanKind

        context = _context(
            {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in headers
                if name in CONTEXT_HEADERS
            }
        )
        span = self._tracer.start_span("request", context, SpanKind.SERVER)
        return _Sampled(self._tracer, span) if span.is_recording() else UNTRACED

    def within(self, traceparent: str) -> Trace:
        from opentelemetry.trace import get_current_span

        if not traceparent:
            return UNTRACED
        span = get_current_span(_context({"traceparent": traceparent}))
        return _Sampled(self._tracer, span) if span.get_span_context().is_valid else UNTRACED

    def batch(self, name: str, items: Sequence[Trace]) -> Trace:
        from opentelemetry.trace import Link, set_span_in_context

        sampled = [item.span for item in items if isinstance(item, _Sampled)]
        if not sampled:
            return UNTRACED
        # In the trace of the first; the others find it by its link to them.
        span = self._tracer.start_span(
            name,
            set_span_in_context(sampled[0], _nothing()),
            links=[Link(one.get_span_context()) for one in sampled],
        )
        return _Sampled(self._tracer, span)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _Sampled(Trace):
    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self.span = span
        context = span.get_span_context()
        self.trace_id = format(context.trace_id, "032x")
        self.traceparent = (
            f"00-{self.trace_id}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        )

    def begin(self, name: str, /) -> Trace:
        return _Sampled(self._tracer, self._start(name, None))

    def past(self, name: str, seconds: float, /) -> None:
        now = time.time_ns()
        self._start(name, now - int(seconds * NANO)).end(now)

    def note(self, attributes: Mapping[str, str | int], /) -> None:
        for name, value in attributes.items():
            if value != "":
                self.span.set_attribute(name, value)

    def end(self, name: str = "", /) -> None:
        if name:
            self.span.update_name(name)
        self.span.end()

    def _start(self, name: str, start_ns: int | None) -> Span:
        from opentelemetry.trace import set_span_in_context

        parent = set_span_in_context(self.span, _nothing())
        return self._tracer.start_span(name, parent, start_time=start_ns)


def _nothing() -> Context:
    """Not what this thread or task may be in: contexts are passed by hand."""
    from opentelemetry.context import Context

    return Context()


def _context(headers: Mapping[str, str]) -> Context:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(headers, _nothing())


def _exporter(config: TracingConfig) -> SpanExporter:
    """Raises OSError, ImportError: ``check_observability`` comes before."""
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    if config.exporter == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter: SpanExporter = OTLPSpanExporter(endpoint=config.endpoint)
        return exporter
    if config.exporter == "console":
        # Not sys.stdout: Ray Serve makes lines of its own log of that.
        return ConsoleSpanExporter(out=sys.__stdout__ or sys.stdout, formatter=_line)
    assert config.path is not None
    return ConsoleSpanExporter(out=_file(config.path).open("a", encoding="utf-8"), formatter=_line)


def _file(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory / f"spans-{os.getpid()}.jsonl"


def _line(span: ReadableSpan) -> str:
    to_json: Callable[..., str] = span.to_json
    return to_json(indent=None) + "\n"
