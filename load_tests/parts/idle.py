"""What the service takes while nobody asks it anything."""

from __future__ import annotations

import time
from collections import Counter

from load_tests.findings import Cell, Finding, Section
from load_tests.machine.processes import memory, role
from load_tests.target import Target

CORES_BAR = 0.15
MEMORY_BAR_GB = 1.5


def measure(target: Target, seconds: float) -> tuple[float, Section]:
    """Idle cores, and the section that tells of them."""
    with target.meter() as meter:
        time.sleep(seconds)
    usage, held = meter.usage, memory(target.processes())
    names = sorted(held.by_role, key=lambda name: -held.by_role[name])
    rows: list[list[Cell]] = [
        ["all", usage.cores, held.pss, held.uss, held.rss],
    ]
    rows += [
        [name, usage.cpu_s.get(name, 0.0) / usage.wall_s, held.by_role[name]] for name in names
    ]
    notes = [
        "Memory is PSS: pages that processes share count once. A sum of RSS counts them as often "
        "as there are processes."
    ]
    if target.seconds_to_ready is not None:
        notes.append(f"Ready {target.seconds_to_ready:.0f} s after the command.")
    return usage.cores, Section(
        "The idle service",
        ["", "cores", "PSS MB", "USS MB", "RSS MB"],
        rows,
        [
            Finding("1", "the idle cluster's cores", usage.cores, CORES_BAR),
            Finding("1", "the idle cluster's memory", held.pss / 1e3, MEMORY_BAR_GB, "GB"),
        ],
        notes,
        {"cores": usage.cores,
         "cores_by_role": {name: used / usage.wall_s for name, used in usage.cpu_s.items()},
         "pss_mb": held.pss, "uss_mb": held.uss, "rss_mb": held.rss,
         "pss_mb_by_role": held.by_role,
         "processes_by_role": dict(Counter(map(role, target.processes())))},
    )  # fmt: skip
