"""Processes as a machine's: killed all at once, as when its power goes, and none left behind."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterable

import psutil

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """What this process started stays among its descendants when its own parent dies: HAProxy is
    the child of a Ray worker that may be killed."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def trees(roots: Iterable[int]) -> list[psutil.Process]:
    """Processes by their ids, with all below them."""
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(pid)
            for process in [top, *top.children(recursive=True)]:
                found[process.pid] = process
    return list(found.values())


def kill(processes: Iterable[psutil.Process], timeout_s: float = 20.0) -> None:
    """SIGKILL to all, then wait until they are gone or only their entries are left."""
    killed = list(processes)
    for process in killed:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + timeout_s
    while any(map(is_alive, killed)) and time.monotonic() < deadline:
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def named(processes: Iterable[psutil.Process], words: str) -> list[psutil.Process]:
    """Those whose command line holds ``words``: Ray writes there what a worker is."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if is_alive(process) and words in " ".join(process.cmdline()):
                found.append(process)
    return found
