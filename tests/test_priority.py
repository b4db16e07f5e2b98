from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.priority import COMPUTING, step_back


def nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no nice value of its own")
def test_a_thread_steps_back_and_its_process_does_not() -> None:
    before = nice()
    with ThreadPoolExecutor(1, initializer=step_back) as threads:
        assert threads.submit(nice).result() == min(19, before + COMPUTING)
    assert nice() == before
