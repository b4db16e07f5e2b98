"""Two applications of one cluster that take turns: what a setting costs, in processor time of a
request.

Counted are the replicas of the one that is asked and every process that they share (proxy,
controller, Ray's agents and its exporter of metrics); not those of the other, which only waits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psutil

from load_tests.bench import say
from load_tests.measured import send_measured
from load_tests.paired import paired_ratio
from load_tests.target import Target, patient, serve_file
from load_tests.traffic.plan import Phase, Plan, Request

CLIENTS = 8
ROUTES = {"off": "/", "on": "/on"}
PREFIXES = {name: route.rstrip("/") for name, route in ROUTES.items()}
Figures = dict[str, list[float]]


def two_applications(off: Mapping[str, Any], on: Mapping[str, Any]) -> dict[str, Any]:
    """configs/serve/local.yaml twice, each with one replica of every stage and the arguments of its
    name besides."""
    both = patient(serve_file("local"))
    (first,) = both["applications"]
    for deployment in first["deployments"]:
        deployment["num_replicas"] = 1
    second = json.loads(json.dumps(first))
    for application, name, args in ((first, "off", off), (second, "on", on)):
        application |= {"name": name, "route_prefix": ROUTES[name]}
        application["args"] |= args
    return both | {"applications": [first, second]}


def take_turns(
    target: Target,
    requests: Mapping[str, Sequence[Request]],
    pairs: int,
    seconds: float,
    found: Figures,
    keep: Callable[[Figures], None],
) -> None:
    """CPU-ms a request, off and on, one figure each of every pair, added to ``found``; ``keep`` is
    called after each pair. ``requests``: of each application. Raises RuntimeError if any fails."""
    asked = {"off": _without(target, "on"), "on": _without(target, "off")}

    def run(name: str, lasting_s: float) -> float:
        plan = Plan((Phase(name, lasting_s, clients=CLIENTS),), tuple(requests[name]))
        measured, _ = send_measured(asked[name], plan, 0.0)
        if measured.summary.failed:
            raise RuntimeError(f"{measured.summary.failed} requests failed: no fair comparison")
        return measured.cpu_ms

    for name in ROUTES:  # to get warm
        run(name, min(5.0, seconds))
    for number in range(pairs):
        names = list(ROUTES) if number % 2 == 0 else list(reversed(ROUTES))
        figures = {name: run(name, seconds) for name in names}
        for name, figure in figures.items():
            found[name].append(figure)
        keep(found)
        say(f"pair {number + 1}: {found['off'][-1]:.2f} off, {found['on'][-1]:.2f} on, CPU-ms")


def report(found: Figures, bar: float, told: str) -> str:
    ratio = paired_ratio(found["off"], found["on"])
    means = {name: sum(figures) / len(figures) for name, figures in found.items()}
    verdict = "holds" if ratio.ratio <= bar else "does not hold"
    return (
        f"CPU-ms a request: {means['off']:.2f} off, {means['on']:.2f} on; "
        f"ratio {ratio.ratio:.4f} (95 % interval {ratio.low:.4f} to {ratio.high:.4f}, "
        f"{ratio.pairs} pairs); bar {bar}: {verdict}. {told}"
    )


def _without(target: Target, application: str) -> Target:
    """``target`` as if there were no such application."""

    def processes() -> Sequence[psutil.Process]:
        return [one for one in target.processes() if not _is_of(one, application)]

    return replace(target, processes=processes)


def _is_of(process: psutil.Process, application: str) -> bool:
    try:
        return f"ServeReplica:{application}:" in " ".join(process.cmdline())
    except psutil.Error:
        return False
