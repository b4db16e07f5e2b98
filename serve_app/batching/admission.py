"""Who is let in: nobody new while what is before them would take too long.

The bound is in seconds of expected wait, summed over the stages that a request passes: a queue that
stays longer only adds latency, whatever its length in items (CoDel's argument, RFC 8289). As with
CoDel a burst may be longer than what stands (for services: B. Maurer, "Fail at Scale", ACM Queue
13, 2015): up to ``max_wait_s`` everyone is let in, and from the first that is not until a second
after the last, only up to ``overload_wait_s``. So clients that wait for their answers are served
even if there are many, and a flood that does not end finds a short queue. As CoDel never drops the
last packet, what fills the next batch of each slot is no backlog: batches would go half empty.

Unlike CoDel's this decides at the door, before anything was spent on a request (as in SEDA:
M. Welsh and D. Culler, "Adaptive Overload Control for Busy Internet Servers", USITS 2003).

Knows neither HTTP nor what a stage does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from serve_app.config import AdmissionSettings
from serve_app.errors import OverloadedError
from serve_app.request_context import RequestContext

PATIENCE = 4
"""A large image may wait so many times what it takes itself, if that is more than the bound: three
that come at once are no overload. Not while there is one."""

OVERLOAD_S = 1.0
"""So long after the last request that was turned away there still is one."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one more item of a stage: seconds until it is begun, seconds that it takes, and whether
    more is before it than the next batches."""

    wait_s: float
    service_s: float
    is_backlog: bool


class Backlog(Protocol):
    """What waits for a stage: a ``Batcher``, as far as it is used here."""

    def forecast(self, cost: int | None = None) -> Forecast: ...


class Admission:
    """One for all requests of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._settings = AdmissionSettings()
        self._stages: list[tuple[Backlog, Callable[[int], int] | None]] = []
        self._overload_until = 0.0
        self.in_flight = 0
        """Requests that are let in and not yet answered: whoever lets them in counts."""

    def configure(self, settings: AdmissionSettings) -> None:
        self._settings = settings

    @property
    def max_in_flight(self) -> int:
        return self._settings.max_in_flight

    def watch(self, stage: Backlog, cost: Callable[[int], int] | None = None) -> None:
        """Count what waits for ``stage``. ``cost``: of an image of so many bytes; left out, that
        can't be told beforehand and is taken for the usual."""
        self._stages.append((stage, cost))

    def expected_wait_s(self, image_bytes: int = 0) -> float:
        """Seconds that a request of an image of that size would spend waiting."""
        return sum(forecast.wait_s for forecast in self._forecasts(image_bytes))

    def check(self, image_bytes: int) -> None:
        """Raises OverloadedError if a new request of an image of that size would wait too long."""
        forecasts = self._forecasts(image_bytes)
        if not any(forecast.is_backlog for forecast in forecasts):
            return
        wait_s, now = sum(forecast.wait_s for forecast in forecasts), self._clock()
        if wait_s > self._bound_s(forecasts, now):
            self._overload_until = now + OVERLOAD_S
            raise OverloadedError.after("too many requests are waiting", wait_s)

    def let_in(self, request: RequestContext, image_bytes: int) -> None:
        """``check`` for the first work of a request; it is not asked again for the rest, which
        would throw away what was spent on it. Call it where the work is queued: between the door
        and here others may have come."""
        if not request.admitted:
            self.check(image_bytes)
            request.admitted = True

    def _bound_s(self, forecasts: list[Forecast], now: float) -> float:
        if now < self._overload_until:
            return self._settings.overload_wait_s
        longest_s = max(forecast.service_s for forecast in forecasts)
        return max(self._settings.max_wait_s, PATIENCE * longest_s)

    def _forecasts(self, image_bytes: int) -> list[Forecast]:
        return [stage.forecast(cost and cost(image_bytes)) for stage, cost in self._stages]
