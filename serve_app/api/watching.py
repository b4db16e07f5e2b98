"""What looks at the application from outside: observers, tracing, readiness, what runs beside it.

Left out, nobody does, and an application without stages is ready.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from serve_app.api.answered import Observe, nobody
from serve_app.service import Readiness
from serve_app.tracing import NoTracing, Tracing

Beside = Callable[[], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Watching:
    """``beside``: entered when the application starts, left when it ends."""

    observe: Observe = nobody
    tracing: Tracing = field(default_factory=NoTracing)
    readiness: Readiness = field(default_factory=lambda: Readiness({}))
    beside: Beside = contextlib.nullcontext
