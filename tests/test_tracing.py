from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from serve_app.config import TracingConfig
from serve_app.request_context import UNTRACED, Spans
from serve_app.tracing import NoTracing, OpenTelemetry, Tracing, open_tracing

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]
NOT_SAMPLED = [(b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())]


class Kept(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


def traced(ratio: float = 1.0) -> tuple[OpenTelemetry, Kept]:
    kept = Kept()
    return OpenTelemetry(ratio, "ingress", kept), kept


def told(tracing: OpenTelemetry, kept: Kept) -> dict[str, Any]:
    """Spans by name, as a backend gets them."""
    tracing.close()
    return {span.name: json.loads(span.to_json()) for span in kept.spans}


def test_a_request_continues_its_callers_trace() -> None:
    tracing, kept = traced(ratio=0)
    trace = tracing.request(SAMPLED)
    call = trace.begin("detector call")
    assert trace.trace_id == call.trace_id == TRACE
    assert call.traceparent.startswith(f"00-{TRACE}-")
    assert call.traceparent.endswith("-01")
    call.end()
    trace.note({"http.route": "/face-recognition-infer", "error.type": ""})
    trace.end("POST /face-recognition-infer")
    spans = told(tracing, kept)
    request = spans["POST /face-recognition-infer"]
    assert request["parent_id"] == f"0x{PARENT}"
    assert request["kind"] == "SpanKind.SERVER"
    assert request["attributes"] == {"http.route": "/face-recognition-infer"}
    assert request["resource"]["attributes"]["face_serve.stage"] == "ingress"
    assert spans["detector call"]["parent_id"] == request["context"]["span_id"]


def test_what_took_its_time_at_a_replica_is_within_the_call() -> None:
    tracing, kept = traced()
    call = tracing.request(SAMPLED)
    at_replica = tracing.within(call.traceparent)
    spans = Spans(trace=at_replica)
    with spans.measure("decode"):
        time.sleep(0.01)
    spans.add_all({"detect": 1.0})  # of yet another process, which traces it itself
    call.end()
    found = told(tracing, kept)
    assert set(found) == {"decode", "request"}
    assert found["decode"]["parent_id"] == found["request"]["context"]["span_id"]
    (decode,) = [span for span in kept.spans if span.name == "decode"]
    assert decode.start_time is not None
    assert decode.end_time is not None
    assert 0.01 <= (decode.end_time - decode.start_time) / 1e9 < 1
    assert spans.seconds["detect"] == 1.0


def test_a_batch_links_to_the_requests_that_it_serves() -> None:
    tracing, kept = traced()
    one, other = tracing.request(SAMPLED), tracing.request([])
    batch = tracing.batch("batch", [UNTRACED, one, other])
    batch.note({"face_serve.batch_items": 3})
    batch.end()
    span = told(tracing, kept)["batch"]
    linked = [link["context"]["trace_id"] for link in span["links"]]
    assert linked == [f"0x{TRACE}", f"0x{other.trace_id}"]
    assert span["context"]["trace_id"] == f"0x{TRACE}"
    assert span["attributes"] == {"face_serve.batch_items": 3}
    assert tracing.batch("batch", [UNTRACED]) is UNTRACED


@pytest.mark.parametrize(
    "headers", [NOT_SAMPLED, [], [(b"traceparent", b"nonsense")], [(b"traceparent", b"\xff")]]
)
def test_what_is_not_sampled_is_not_traced(headers: list[tuple[bytes, bytes]]) -> None:
    tracing, kept = traced(ratio=0)
    assert tracing.request(headers) is UNTRACED
    assert told(tracing, kept) == {}


def test_a_share_of_the_requests_is_sampled() -> None:
    tracing, kept = traced(ratio=0.25)
    sampled = [tracing.request([]) is not UNTRACED for _ in range(2000)]
    assert 0.15 < sum(sampled) / len(sampled) < 0.35
    tracing.close()
    assert kept.spans == []  # none has ended


@pytest.mark.parametrize("tracing", [NoTracing(), open_tracing(TracingConfig(), "ingress")])
def test_off_it_does_nothing(tracing: Tracing) -> None:
    trace = tracing.request(SAMPLED)
    assert trace is trace.begin("x") is tracing.within("x") is tracing.batch("x", [trace])
    trace.past("x", 1)
    trace.note({"x": 1})
    trace.end()
    assert (trace.traceparent, trace.trace_id) == ("", "")


def test_spans_in_a_file(tmp_path: Path) -> None:
    config = TracingConfig(exporter="file", path=tmp_path / "traces", sample_ratio=1)
    tracing = open_tracing(config, "ingress")
    assert isinstance(tracing, OpenTelemetry)
    for _ in range(3):
        tracing.request([]).end()
    tracing.close()
    (file,) = (tmp_path / "traces").iterdir()
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["name"] for line in lines] == ["request"] * 3
    assert file.parent.stat().st_mode & 0o077 == 0


def test_spans_to_a_collector(collector: list[bytes], collector_url: str) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otlp")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    config = TracingConfig(exporter="otlp", endpoint=collector_url, sample_ratio=1)
    tracing = open_tracing(config, "detector")
    assert isinstance(tracing, OpenTelemetry)
    tracing.request([]).end("POST other")
    tracing.close()
    (body,) = collector
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (scope,) = resource.scope_spans
    assert [span.name for span in scope.spans] == ["POST other"]


@pytest.fixture
def collector() -> list[bytes]:
    return []


@pytest.fixture
def collector_url(collector: list[bytes]) -> Any:
    import gzip
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            zipped = self.headers.get("content-encoding") == "gzip"
            collector.append(gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    server.shutdown()
    thread.join()
    server.server_close()
