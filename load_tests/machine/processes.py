"""The processes of a service: which is which, and what memory they hold.

Knows how Ray names its processes, and nothing of requests.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil

Processes = Callable[[], Sequence[psutil.Process]]
"""The processes that there are now."""

_REPLICA = re.compile(r"ServeReplica:\w+:(\w+)")
_PROGRAMS = {"haproxy": "HAProxy", "gcs_server": "GCS", "raylet": "raylet"}
"""By the program's name: their commands hold other programs' commands."""
_ROLES = (
    ("ServeController", "Serve controller"),
    ("HAProxyManager", "HAProxy's manager"),
    ("ProxyActor", "Serve proxy"),
    ("DashboardAgent", "Ray agents"),
    ("RuntimeEnvAgent", "Ray agents"),
    ("dashboard", "Ray dashboard"),
    ("monitor.py", "Ray monitors"),
    ("multiprocessing", "Ray dashboard"),
    ("face-serve", "face-serve"),
)


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. ``pss``: pages that processes share count once, which a sum of ``rss`` does not
    see; ``uss``: what would be free if all ended."""

    rss: float
    pss: float
    uss: float
    by_role: dict[str, float] = field(default_factory=dict)


def memory(processes: Sequence[psutil.Process]) -> Memory:
    rss = pss = uss = 0.0
    by_role: dict[str, float] = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            rss += info.rss / 1e6
            pss += info.pss / 1e6
            uss += info.uss / 1e6
            name = role(process)
            by_role[name] = by_role.get(name, 0.0) + info.pss / 1e6
    return Memory(rss, pss, uss, dict(sorted(by_role.items(), key=lambda item: -item[1])))


def role(process: psutil.Process) -> str:
    """What a process of a Ray Serve service is, from its name and command."""
    program = process.name()
    if program in _PROGRAMS:
        return _PROGRAMS[program]
    words = " ".join([program, *process.cmdline()])
    if replica := _REPLICA.search(words):
        return replica[1]
    return next((name for sign, name in _ROLES if sign in words), "other")
