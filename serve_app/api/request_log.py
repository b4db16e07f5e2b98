"""The request log: one JSON line for each answer.

It holds the log id, which a client may choose, and otherwise nothing that a client sent: no path
beyond the route's pattern, no query, no address, no label, no key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from serve_app.api.answered import Answered


class RequestLog:
    """Writes to ``stream``, a line at once."""

    def __init__(
        self, stream: TextIO, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._stream = stream
        self._clock = clock

    def __call__(self, answered: Answered) -> None:
        self._stream.write(line_of(answered, self._clock()))
        self._stream.flush()


def line_of(answered: Answered, now: datetime) -> str:
    """Times in milliseconds, names as Server-Timing has them."""
    content: dict[str, object] = {
        "time": now.isoformat(timespec="milliseconds"),
        "logId": answered.log_id,
        "method": answered.method,
        "route": answered.route,
        "status": answered.status,
        "durationMs": round(answered.seconds * 1000, 1),
        "stagesMs": {stage: round(s * 1000, 1) for stage, s in answered.stages.items()},
    }
    if answered.failure:
        content["error"] = answered.failure
    if answered.trace_id:
        content["traceId"] = answered.trace_id
    # In ASCII: a client's log id may hold what breaks a line or a terminal.
    return json.dumps(content, separators=(",", ":")) + "\n"
