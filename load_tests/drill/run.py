"""``make drill``: the service upgraded and broken under load, and every request accounted for."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from load_tests.drill.journal import Journal
from load_tests.drill.node_environment import shared_environment
from load_tests.drill.processes import adopt_orphans, kill, trees
from load_tests.drill.report import report, told
from load_tests.drill.scenarios import SCENARIOS, Scenario
from load_tests.drill.traffic import ROUTES, Traffic, labels_seen, search_for
from load_tests.drill.verdict import Verdict, judge
from load_tests.pictures import Picture, small

if TYPE_CHECKING:
    from load_tests.drill.world import World

CALM_S = 5.0
"""Of load before anything happens, and after."""
RATE = 10.0


def main() -> None:
    told = "; ".join(f"{name}: {one.title}" for name, one in SCENARIOS.items())
    parser = argparse.ArgumentParser(prog="make drill", description=f"{__doc__} {told}.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="left out: all of them")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--seed", type=int, default=1, help="of times and kinds of requests")
    parser.add_argument("--out", type=Path, help="a file to write the table to")
    parser.add_argument("--attempts", type=Path, help="a directory for a CSV of every attempt")
    parser.add_argument("--keep", action="store_true", help="the clusters' directory, to look into")
    options = parser.parse_args()
    if unknown := [name for name in options.scenarios if name not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    names = options.scenarios or list(SCENARIOS)
    verdicts = drill(names, options.rate, options.seed, options.attempts, keep=options.keep)
    lines = report({SCENARIOS[name].title: verdict for name, verdict in verdicts.items()})
    print("\n" + lines)
    if options.out:
        options.out.write_text(lines, encoding="utf-8")
    if not all(verdict.holds for verdict in verdicts.values()):
        sys.exit("the drill did not hold")


def drill(
    names: Sequence[str], rate: float, seed: int, attempts: Path | None, *, keep: bool
) -> dict[str, Verdict]:
    directory = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))  # short: it holds unix sockets
    haproxy = Path(sys.executable).parent / "face-serve-haproxy"
    environ = shared_environment(directory, haproxy, secrets.token_hex(32))
    os.environ.update(environ)
    adopt_orphans()
    from load_tests.drill.world import World  # Ray reads its environment when it is imported

    try:
        with World(directory, environ) as world:
            say("starting a cluster")
            world.addresses.replace([machine.url for machine in world.start().machines])
            world.addresses.probe()
            with world.addresses:
                return {
                    name: run(world, name, SCENARIOS[name], rate, seed, attempts) for name in names
                }
    finally:
        kill(trees([os.getpid()])[1:])  # nothing of ours is left behind
        if keep:
            say(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def run(
    world: World, name: str, scenario: Scenario, rate: float, seed: int, attempts: Path | None
) -> Verdict:
    picture = small()
    gallery = f"drill-{name}"
    pairs = [{"image": picture.base64, "label": "first"}]
    post(world.addresses.pick(), "build", {"imageLabelPairs": pairs, "indexKey": gallery})
    journal = Journal()
    say(f"{scenario.title}: begins")
    started, settled = time.monotonic(), True
    with Traffic(world.addresses, journal, picture, gallery, rate=rate, seed=seed):
        time.sleep(CALM_S)
        try:
            scenario.happen(world)
        except Exception as failure:  # what was sent until then is judged all the same
            say(f"{scenario.title}: {type(failure).__name__}: {failure}")
            settled = False
        time.sleep(CALM_S)
    if attempts:
        attempts.mkdir(parents=True, exist_ok=True)
        journal.write(attempts / f"{name}.csv", started)
    world.addresses.probe()
    found = [search(url, gallery, picture) for url in world.addresses.ready]
    verdict = judge(
        journal.operations,
        journal.attempts,
        world.labels(gallery),
        found,
        settled=settled and bool(found),
    )
    say(f"{scenario.title}: {time.monotonic() - started:.0f} s, {told(verdict)}")
    return verdict


def search(url: str, gallery: str, picture: Picture) -> frozenset[str]:
    return labels_seen(post(url, "infer", {"indexKey": gallery, **search_for(picture.base64)}))


def post(url: str, route: str, body: object) -> object:
    path = ROUTES["infer"] if route == "infer" else f"/face-recognition-index-{route}"
    reply = httpx.post(url + path, json=body, timeout=60, trust_env=False)
    return reply.raise_for_status().json()["result"]


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    main()
