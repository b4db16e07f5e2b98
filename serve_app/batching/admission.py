"""Who is let in: nobody new while what waits would take too long to be begun.

The bound is in seconds of expected wait, summed over the stages a request passes: a queue that
stays longer only adds latency, whatever its length in items (CoDel's argument, RFC 8289, K. Nichols
and V. Jacobson; for services B. Maurer, "Fail at Scale", ACM Queue 13, 2015). Unlike CoDel's it
decides at the door, before anything was spent on a request, as SEDA's controller does (M. Welsh and
D. Culler, "Adaptive Overload Control for Busy Internet Servers", USITS 2003). And as CoDel never
drops the last packet, a backlog that fills the next batch of each slot is never too long: batches
would go half empty.

Knows neither HTTP nor what a stage does.
"""

from __future__ import annotations

from typing import Protocol

from serve_app.config import AdmissionSettings
from serve_app.errors import OverloadedError
from serve_app.request_context import RequestContext


class Backlog(Protocol):
    """What waits for a stage: a ``Batcher``, as far as it is used here."""

    @property
    def is_backed_up(self) -> bool: ...

    def expected_wait_s(self) -> float: ...


class Admission:
    """One for all requests of a process."""

    def __init__(self) -> None:
        self._settings = AdmissionSettings()
        self._backlogs: list[Backlog] = []

    def configure(self, settings: AdmissionSettings) -> None:
        self._settings = settings

    @property
    def max_in_flight(self) -> int:
        return self._settings.max_in_flight

    def watch(self, backlog: Backlog) -> None:
        self._backlogs.append(backlog)

    def expected_wait_s(self) -> float:
        """Seconds that a request that comes now would spend waiting."""
        return sum(backlog.expected_wait_s() for backlog in self._backlogs)

    def check(self) -> None:
        """Raises OverloadedError if a new request would wait too long."""
        if not any(backlog.is_backed_up for backlog in self._backlogs):
            return
        wait_s = self.expected_wait_s()
        if wait_s > self._settings.max_wait_s:
            raise OverloadedError.after("too many requests are waiting", wait_s)

    def let_in(self, request: RequestContext) -> None:
        """``check`` for the first work of a request; it is not asked again for the rest, which
        would throw away what was spent on it. Call it where the work is queued: between the door
        and here others may have come."""
        if not request.admitted:
            self.check()
            request.admitted = True
