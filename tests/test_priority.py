from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.priority import BESIDE, COMPUTING, step_aside, step_back


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no nice value of its own")
@pytest.mark.parametrize(("step", "by"), [(step_back, COMPUTING), (step_aside, BESIDE)])
def test_a_thread_steps_back_and_its_process_does_not(step: Callable[[], None], by: int) -> None:
    before = nice()
    with ThreadPoolExecutor(1, initializer=step) as threads:
        assert threads.submit(nice).result() == min(19, before + by)
    assert nice() == before
