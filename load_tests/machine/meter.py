"""Processor time of a process tree between two moments."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

import psutil

from load_tests.machine.processes import Processes, role


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds by role, of everything between two moments ``wall_s`` apart."""

    wall_s: float
    cpu_s: dict[str, float]

    @property
    def total_s(self) -> float:
        return sum(self.cpu_s.values())

    @property
    def cores(self) -> float:
        return self.total_s / self.wall_s

    def net_s(self, idle_cores: float) -> float:
        """Without what the idle service uses in the same time."""
        return self.total_s - idle_cores * self.wall_s


class Meter:
    """Processor time of processes that may come and go while it looks; use it as a context.

    A process that ended in between counts with what was last seen of it: look often.
    """

    def __init__(self, processes: Processes, look_every_s: float = 1.0) -> None:
        self._processes = processes
        self._every_s = look_every_s
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._roles: dict[int, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.usage = Usage(0.0, {})

    def __enter__(self) -> Meter:
        self._started = time.monotonic()
        self._look(new_from_zero=False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look(new_from_zero=True)
        used: dict[str, float] = {}
        for pid, last in self._last.items():
            role = self._roles[pid]
            used[role] = used.get(role, 0.0) + last - self._first[pid]
        self.usage = Usage(time.monotonic() - self._started, used)

    def _look_on(self) -> None:
        while not self._stop.wait(self._every_s):
            self._look(new_from_zero=True)

    def _look(self, *, new_from_zero: bool) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                seconds = times.user + times.system
                if process.pid not in self._first:
                    self._first[process.pid] = 0.0 if new_from_zero else seconds
                    self._roles[process.pid] = role(process)
                self._last[process.pid] = seconds
