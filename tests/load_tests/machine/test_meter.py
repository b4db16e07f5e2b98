from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from load_tests.machine.meter import Meter, Usage
from load_tests.machine.processes import memory, role

BUSY = "import time; end = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


def test_processor_time_is_of_those_processes_also_of_one_that_ended() -> None:
    started: list[psutil.Process] = []
    with Meter(lambda: [one for one in started if one.is_running()], look_every_s=0.02) as meter:
        for seconds in (0.3, 0.6):
            code = BUSY.format(seconds) + "time.sleep(0.2)"
            process = subprocess.Popen([sys.executable, "-c", code])
            started.append(psutil.Process(process.pid))
            process.wait()
    assert meter.usage.total_s == pytest.approx(0.9, abs=0.25)
    assert set(meter.usage.cpu_s) == {"other"}


def test_what_was_used_before_does_not_count() -> None:
    me = psutil.Process()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    with Meter(lambda: [me]) as meter:
        pass
    assert meter.usage.total_s < 0.2


def test_net_is_without_the_idle_share_of_the_same_time() -> None:
    usage = Usage(10.0, {"Ingress": 4.0, "GCS": 1.0})
    assert usage.cores == 0.5
    assert usage.net_s(0.1) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("argv0", "expected"),
    [
        ("ray::ServeReplica:face:Extractor", "Extractor"),
        ("ray::HAProxyManager", "HAProxy's manager"),
        ("ray-dashboard-JobHead-0", "Ray dashboard"),
        ("anything", "other"),
    ],
)
def test_roles_by_what_a_process_calls_itself(argv0: str, expected: str) -> None:
    process = subprocess.Popen(
        [argv0, "-c", "import time; print(flush=True); time.sleep(30)"],
        executable=sys.executable,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()  # it runs: its command is its own
    try:
        told = psutil.Process(process.pid)
        assert role(told) == expected
        held = memory([told])
        assert held.by_role == {expected: pytest.approx(held.pss)}
        assert 0 < held.uss <= held.pss <= held.rss
    finally:
        process.kill()
        process.communicate()
