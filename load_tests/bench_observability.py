"""``make bench-observability``: what metrics and tracing cost, in processor time of a request.

One cluster with the application twice, once with both off and once with both on, which take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from load_tests import pictures
from load_tests.measured import cores_in_use, infer
from load_tests.target import Target, started
from load_tests.traffic.plan import Request
from load_tests.two_applications import (
    CLIENTS,
    PREFIXES,
    ROUTES,
    Figures,
    report,
    take_turns,
    two_applications,
)

BAR = 1.03


def content(traces: Path, sample_ratio: float, *, log: bool) -> dict[str, Any]:
    on = {
        "request_log": log,
        "tracing": {"exporter": "file", "path": str(traces), "sample_ratio": sample_ratio},
    }
    return two_applications(
        {"observability": {"metrics": {"enabled": False}}}, {"observability": on}
    )


def requests(target: Target) -> dict[str, list[Request]]:
    """One picture, looked for in a gallery of one face, of either application."""
    picture = pictures.small()
    pair = {"image": picture.base64, "label": pictures.LABEL}
    found: dict[str, list[Request]] = {}
    for name, prefix in PREFIXES.items():
        built = target.post(f"{prefix}/face-recognition-index-build", {"imageLabelPairs": [pair]})
        request = infer(picture.base64, str(built["indexKey"]), expects=pictures.LABEL)
        found[name] = [replace(request, path=prefix + request.path)]
    return found


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
        take_turns(target, requests(target), options.pairs, options.seconds, found, keep)
    told = (
        f"{CLIENTS} clients, {options.seconds:g} s each, sample ratio {options.sample_ratio:g}"
        f"{', with the request log' if options.log else ''}; others used {others:.2f} cores when "
        f"it began; {time.strftime('%Y-%m-%d')}"
    )
    print(report(found, BAR, told))


if __name__ == "__main__":
    main()
