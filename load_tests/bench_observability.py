"""``make bench-observability``: what metrics and tracing cost, in processor time of a request.

One cluster with the application twice, once with both off and once with both on, which take turns.
Counted are the replicas of the one that is asked and every process that they share (proxy,
controller, Ray's agents and its exporter of metrics); not those of the other, which only waits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from load_tests import pictures
from load_tests.bench import say
from load_tests.measured import cores_in_use, infer, send_measured
from load_tests.paired import paired_ratio
from load_tests.target import Target, patient, serve_file, started
from load_tests.traffic.plan import Phase, Plan, Request

BAR = 1.03
CLIENTS = 8
ROUTES = {"off": "/", "on": "/on"}
Figures = dict[str, list[float]]


def content(traces: Path, sample_ratio: float, *, log: bool) -> dict[str, Any]:
    """configs/serve/local.yaml twice, each with one replica of every stage."""
    both = patient(serve_file("local"))
    (off,) = both["applications"]
    for deployment in off["deployments"]:
        deployment["num_replicas"] = 1
    on = json.loads(json.dumps(off))
    off |= {"name": "off", "route_prefix": ROUTES["off"]}
    on |= {"name": "on", "route_prefix": ROUTES["on"]}
    off["args"]["observability"] = {"metrics": {"enabled": False}}
    on["args"]["observability"] = {
        "request_log": log,
        "tracing": {"exporter": "file", "path": str(traces), "sample_ratio": sample_ratio},
    }
    return both | {"applications": [off, on]}


def without(target: Target, application: str) -> Target:
    """``target`` as if there were no such application."""

    def processes() -> Sequence[psutil.Process]:
        return [one for one in target.processes() if not _is_of(one, application)]

    return replace(target, processes=processes)


def _is_of(process: psutil.Process, application: str) -> bool:
    try:
        return f"ServeReplica:{application}:" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def measure(
    target: Target, pairs: int, seconds: float, found: Figures, keep: Callable[[Figures], None]
) -> None:
    """CPU-ms a request, off and on, one figure each of every pair, added to ``found``; ``keep`` is
    called after each pair."""
    picture = pictures.small()
    requests: dict[str, Request] = {}
    for name, route in ROUTES.items():
        prefix = route.rstrip("/")
        pair = {"image": picture.base64, "label": pictures.LABEL}
        built = target.post(f"{prefix}/face-recognition-index-build", {"imageLabelPairs": [pair]})
        request = infer(picture.base64, str(built["indexKey"]), expects=pictures.LABEL)
        requests[name] = replace(request, path=prefix + request.path)
    asked = {"off": without(target, "on"), "on": without(target, "off")}

    def run(name: str, lasting_s: float) -> float:
        plan = Plan((Phase(name, lasting_s, clients=CLIENTS),), (requests[name],))
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


def report(found: Figures, told: str) -> str:
    ratio = paired_ratio(found["off"], found["on"])
    means = {name: sum(figures) / len(figures) for name, figures in found.items()}
    verdict = "holds" if ratio.ratio <= BAR else "does not hold"
    return (
        f"CPU-ms a request: {means['off']:.2f} off, {means['on']:.2f} on; "
        f"ratio {ratio.ratio:.4f} (95 % interval {ratio.low:.4f} to {ratio.high:.4f}, "
        f"{ratio.pairs} pairs); bar {BAR}: {verdict}. {told}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--sample-ratio", type=float, default=0.01)
    parser.add_argument("--log", action="store_true", help="with the request log too")
    parser.add_argument("--add-to", type=Path, help="a record of earlier pairs to go on with")
    parser.add_argument("--output", type=Path, default=Path("out/observability.json"))
    options = parser.parse_args()
    others = cores_in_use()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    traces = options.output.parent.absolute() / "traces"
    found: Figures = {name: [] for name in ROUTES}
    if options.add_to is not None:
        found = json.loads(options.add_to.read_text(encoding="utf-8"))

    def keep(figures: Figures) -> None:
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    with started(content(traces, options.sample_ratio, log=options.log)) as target:
        measure(target, options.pairs, options.seconds, found, keep)
    told = (
        f"{CLIENTS} clients, {options.seconds:g} s each, sample ratio {options.sample_ratio:g}"
        f"{', with the request log' if options.log else ''}; others used {others:.2f} cores when "
        f"it began; {time.strftime('%Y-%m-%d')}"
    )
    print(report(found, told))


if __name__ == "__main__":
    main()
