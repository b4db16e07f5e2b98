"""The gate, around everything else: a request's deadline is set, it is let in or turned away, its
answer says where its time went and what browsers must not do with it, and those who observe are
told.

Pure ASGI. It decides by the head alone: under overload most requests end here, and one that was
read, parsed and decoded first would have cost as much as a small one that is answered. Must not
know what is asked, but for which addresses need the networks.
"""

from __future__ import annotations

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.answered import Answered, Observe, method_of, nobody, route_of
from serve_app.api.errors import invalid_value
from serve_app.api.hosts import ANY, Hosts
from serve_app.api.probes import PROBES
from serve_app.api.refusal import Refuser, Upload, content_length
from serve_app.api.safe_headers import made_safe
from serve_app.batching import Admission
from serve_app.config import Limits
from serve_app.errors import FaceServeError, OverloadedError
from serve_app.request_context import STAGES, UNTRACED, RequestContext, Spans, in_request
from serve_app.tracing import NoTracing, Tracing

logger = logging.getLogger(__name__)

TIMEOUT_HEADER = "Request-Timeout"
"""Seconds that a client waits. (X-Request-Timeout-Seconds is Ray's own: it answers 408.)"""

COSTLY = (
    "/face-recognition-infer",
    "/face-recognition-index-build",
    "/face-recognition-index-add",
    "/v1/infer:batch",
)
"""The addresses whose work goes through the networks. All else costs a look-up at most and
stays possible under overload: removing, listing, dropping."""

_SECONDS = re.compile(rb"\d{1,9}(\.\d{1,9})?")


class Gate:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        limits: Limits,
        observe: Observe = nobody,
        tracing: Tracing | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self._app = app
        self._admission = admission
        self._timeout_s = limits.request_timeout_s
        self._image_bytes = limits.image_bytes
        self._refuser = Refuser(limits.body_bytes, limits.body_timeout_s)
        self._observe = observe
        self._tracing = tracing or NoTracing()
        self._hosts = hosts or Hosts([ANY])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        probed = address_of(scope) in PROBES
        trace = UNTRACED if probed else self._tracing.request(scope["headers"])
        context = RequestContext(spans=Spans(trace=trace))
        try:
            with in_request(context):
                await self._let_in(context, scope, receive, self._watched(context, scope, send))
        finally:
            trace.end(f"{method_of(scope)} {route_of(scope, COSTLY)}")

    async def _let_in(
        self, context: RequestContext, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            if address_of(scope) in PROBES:
                context.set_timeout(self._timeout_s)
            else:
                self._hosts.check(scope["headers"])
                context.set_timeout(timeout_of(scope, self._timeout_s))
                self._check(scope)
        except FaceServeError as error:
            await self._refuser.refuse(error, scope, Upload(receive), send)
            return
        self._admission.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._admission.in_flight -= 1

    def _check(self, scope: Scope) -> None:
        """Raises OverloadedError."""
        if self._admission.in_flight >= self._admission.max_in_flight:
            wait_s = self._admission.expected_wait_s()
            raise OverloadedError.after("too many requests are under way", wait_s)
        if address_of(scope) in COSTLY:
            # In base64; and what has a larger body has many images, which go one after the other.
            self._admission.check(min((content_length(scope) or 0) * 3 // 4, self._image_bytes))

    def _watched(self, context: RequestContext, scope: Scope, send: Send) -> Send:
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = Answered(
                    method=method_of(scope),
                    route=route_of(scope, COSTLY),
                    status=message["status"],
                    seconds=time.perf_counter() - started,
                    stages=context.spans.seconds,
                    failure=context.failure,
                    log_id=context.log_id,
                    trace_id=context.spans.trace.trace_id,
                )
                message = made_safe(message)
                if context.spans.seconds:
                    value = server_timing(context.spans).encode("ascii")
                    message["headers"].append((b"server-timing", value))
                context.spans.trace.note(
                    {
                        "http.request.method": answered.method,
                        "http.route": answered.route,
                        "http.response.status_code": answered.status,
                        "error.type": answered.failure,
                    }
                )
                if answered.route not in PROBES:
                    self._tell(answered)
            await send(message)

        return watched

    def _tell(self, answered: Answered) -> None:
        try:
            self._observe(answered)
        except Exception as error:  # no answer fails for a full disk under its log line
            logger.error("an observer failed: %s", type(error).__name__)


def address_of(scope: Scope) -> str:
    """The path below where the service is mounted. (Not how a path ends: a gallery or a job may be
    called health.)"""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def timeout_of(scope: Scope, most_s: float) -> float:
    """Seconds that the request's client waits, at most ``most_s``. Raises InvalidRequestError."""
    name = TIMEOUT_HEADER.lower().encode("ascii")
    asked = [value for header, value in scope["headers"] if header == name]
    for value in asked:
        if not _SECONDS.fullmatch(value) or float(value) == 0:
            raise invalid_value(
                "header_value",
                f"header.{TIMEOUT_HEADER}",
                "Header should be a number of seconds above 0, like 2.5",
            )
    return min([most_s, *map(float, asked)])


def server_timing(spans: Spans) -> str:
    """The header ``Server-Timing`` (W3C): milliseconds of each stage that was reached."""
    return ", ".join(
        f"{stage};dur={spans.seconds[stage] * 1000:.1f}"
        for stage in STAGES
        if stage in spans.seconds
    )
