"""Threads that compute step back behind those that answer.

With all cores busy an event loop waits for its turn like any other thread; if those that compute
are nicer than it, it is scheduled at once, and refusals and health checks stay quick under load
(docs/decisions/0022). Computing loses nothing by it: event loops need little.
"""

from __future__ import annotations

import os
import sys

COMPUTING = 10
"""Added to a computing thread's nice value: about a tenth of the weight, where cores are short."""
BESIDE = 19
"""Of work that no request waits for: an eighth of the weight of what computes for one."""


def step_back() -> None:
    """Lower the calling thread's priority, for good: an executor's ``initializer``.

    On Linux a nice value is a thread's own; elsewhere it is the whole process's and left alone.
    """
    _lower(COMPUTING)


def step_aside() -> None:
    """As ``step_back``, also behind what computes for requests: bulk jobs, reading ahead."""
    _lower(BESIDE)


def _lower(by: int) -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, min(19, os.getpriority(os.PRIO_PROCESS, 0) + by))
