"""``make load SCENARIO=NAME``: one scenario against a running service, told phase by phase."""

from __future__ import annotations

import argparse
import sys

from load_tests.findings import Cell
from load_tests.report.markdown import table
from load_tests.scenarios.capacity import capacity, gallery
from load_tests.scenarios.table import SCENARIOS
from load_tests.target import running
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Plan
from load_tests.traffic.summary import phases, summarise

COLUMNS = [
    "", "request", "sent/s", "answered/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "statuses",
    "client late, p99 ms",
]  # fmt: skip
MEASURED_S = 8.0


def main() -> None:
    told = "; ".join(f"{name}: {one.description}" for name, one in SCENARIOS.items())
    parser = argparse.ArgumentParser(description=f"{__doc__} {told}.")
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--capacity", type=float, help="requests a second; left out, measured")
    options = parser.parse_args()
    scenario = SCENARIOS[options.scenario]
    target = running(options.port)
    requests = scenario.requests(gallery(target))
    able = options.capacity
    if able is None and options.scenario != "smoke":
        able = capacity(target, scenario.requests(gallery(target)), MEASURED_S)
        print(f"capacity: {able:.0f} requests/s, {MEASURED_S:.0f} s of 32 clients\n")
    plan = Plan(scenario.phases(able or 0.0), requests)
    attempts = phases(send(plan, target.url).attempts)
    rows: list[list[Cell]] = []
    for phase in plan.phases:
        for name in dict.fromkeys(request.name for request in requests):
            found = [one for one in attempts.get(phase.name, []) if one.request == name]
            s = summarise(found, phase.seconds)
            statuses = ", ".join(f"{status}: {count}" for status, count in s.statuses.items())
            rows.append(
                [phase.name, name, s.sent / phase.seconds, s.rate, s.p50_ms, s.p95_ms, s.p99_ms,
                 s.max_ms, statuses, s.late_ms]
            )  # fmt: skip
    print("\n".join(table(COLUMNS, rows)))
    if options.scenario == "smoke" and any(
        not one.is_good for found in attempts.values() for one in found
    ):
        sys.exit("not all answers were good")


if __name__ == "__main__":
    main()
