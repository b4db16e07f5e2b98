"""What a service can do: the most that clients who wait for their answers get out of it."""

from __future__ import annotations

from collections.abc import Sequence

from load_tests.pictures import LABEL, small
from load_tests.scenarios.table import BUILD
from load_tests.target import Target
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan, Request
from load_tests.traffic.summary import phases, summarise

CLIENTS = 32
WARM_S = 3.0


def gallery(target: Target) -> str:
    """Key of a new gallery with the portrait in it, as id 0."""
    pair = {"image": small().base64, "label": LABEL}
    return str(target.post(BUILD, {"imageLabelPairs": [pair]})["indexKey"])


def capacity(target: Target, requests: Sequence[Request], seconds: float) -> float:
    """Good answers a second. Raises RuntimeError if there is none."""
    plan = Plan(
        (Phase("warm", WARM_S, clients=CLIENTS), Phase("full", seconds, clients=CLIENTS)),
        tuple(requests),
    )
    found = summarise(phases(send(plan, target.url).attempts)["full"], seconds)
    if not found.rate:
        raise RuntimeError(f"no good answers: {found.statuses}")
    return found.rate
