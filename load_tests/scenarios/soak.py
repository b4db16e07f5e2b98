"""``make soak-load``: half an hour at 0.7 of capacity. No error, and memory that does not grow."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from load_tests.findings import Cell, Finding, Section
from load_tests.machine.memory_log import MemoryLog, slope
from load_tests.report.files import facts, write
from load_tests.scenarios.capacity import capacity, gallery
from load_tests.scenarios.table import everyday
from load_tests.target import Target, running, serve_file, started
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan
from load_tests.traffic.summary import summarise

SHARE = 0.7
SLOPE_BAR = 0.01
FILLING_SHARE = 1 / 3
"""Of the time, its first part: allocators and caches fill up, and what is seen does not count."""
MEMORY_EVERY_S = 10.0


def soak(target: Target, minutes: float) -> Section:
    requests = everyday(gallery(target))
    able = capacity(target, requests, 15)
    seconds = 60 * minutes
    plan = Plan((Phase("soak", seconds, rate=SHARE * able),), requests)
    with MemoryLog(target.processes, MEMORY_EVERY_S) as log:
        traffic = send(plan, target.url)
    told = summarise(traffic.attempts, seconds)
    at_s, pss = log.pss_since(FILLING_SHARE * seconds)
    grown = slope(at_s, pss)
    first, last = log.seen[0], log.seen[-1]
    rows: list[list[Cell]] = [["all", first.pss, last.pss]]
    rows += [[name, first.by_role.get(name, 0.0), held] for name, held in last.by_role.items()]
    return Section(
        f"Soak: {minutes:g} minutes at {SHARE} of {able:.0f} requests/s",
        ["", "PSS MB at the start", "at the end"],
        rows,
        [
            Finding("8", "memory's slope, share of it an hour", grown.share, SLOPE_BAR),
            Finding("8", "memory's slope, upper end of 95 %", grown.high, None),
            Finding("8", "not answered well", told.failed, 0),
        ],
        [
            f"{told.sent} requests, statuses {told.statuses}; p50 {told.p50_ms:.0f}, p99 "
            f"{told.p99_ms:.0f}, at most {told.max_ms:.0f} ms.",
            f"Slope (Theil-Sen) of the last {1 - FILLING_SHARE:.0%} of the time: "
            f"{grown.share:.2%} an hour, {grown.low:.2%} to {grown.high:.2%}.",
        ],
        {"statuses": told.statuses, "capacity": able, "at_s": log.at_s,
         "pss_mb": [seen.pss for seen in log.seen]},
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, help="of a running service; left out, one is started")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--output", type=Path, default=Path("out/soak"))
    options = parser.parse_args()
    with _service(options.port) as target:
        section = soak(target, options.minutes)
    report = write(options.output, [section], [], facts())
    print(report.read_text(encoding="utf-8"))
    missed = [one.what for one in section.findings if one.holds is False]
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)


@contextlib.contextmanager
def _service(port: int | None) -> Iterator[Target]:
    if port is not None:
        yield running(port)
        return
    with started(serve_file("local")) as target:
        yield target


if __name__ == "__main__":
    main()
