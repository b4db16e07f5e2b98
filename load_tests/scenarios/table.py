"""The scenarios: what is sent and for how long, as shares of what the service can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from load_tests.measured import infer, infer_file
from load_tests.pictures import LABEL, group, small, vga
from load_tests.traffic.plan import NUMBER, Phase, Request

ADD, REMOVE = "/face-recognition-index-add", "/face-recognition-index-remove"
BUILD = "/face-recognition-index-build"


@dataclass(frozen=True, slots=True)
class Scenario:
    """``phases``: of a service that can do so many of these requests a second. ``requests``: of the
    gallery of that key, which holds the portrait."""

    description: str
    phases: Callable[[float], tuple[Phase, ...]]
    requests: Callable[[str], tuple[Request, ...]]


def recognition(key: str) -> tuple[Request, ...]:
    return (infer(small().base64, key, expects=LABEL),)


def everyday(key: str) -> tuple[Request, ...]:
    """Small pictures mostly, some larger ones that are drawn into, a few group photos."""
    return (
        _shared(infer(small().base64, key, expects=LABEL), "small", 0.6),
        _shared(infer_file(small().content, key, expects=LABEL), "file", 0.3),
        _shared(infer(vga().base64, key, visualize=True, expects=LABEL), "drawn", 0.07),
        _shared(infer(group().base64, key, expects='"bbox"'), "group", 0.03),
    )


def every_kind(key: str) -> tuple[Request, ...]:
    return tuple(
        replace(request, share=1.0)
        for request in (*everyday(key), *enrolment_and_recognition(key)[1:])
    )


def enrolment_and_recognition(key: str) -> tuple[Request, ...]:
    """Removal number n takes the template of add number n; that of the gallery's start, id 0,
    stays."""
    pair = {"image": small().base64, "label": LABEL}
    body = {"indexKey": key, "returnIdMap": False}
    numbered = b'{"indexKey": "%s", "ids": [%s], "returnIdMap": false}'
    return (
        _shared(infer(small().base64, key, expects=LABEL), "infer", 0.85),
        Request.json("add", ADD, {**body, "imageLabelPairs": [pair]}, share=0.1),
        Request("remove", REMOVE, numbered % (key.encode(), NUMBER), share=0.05),
    )


def _bursts(capacity: float) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for number in range(3):
        phases.append(Phase(f"calm {number + 1}", 15, rate=0.3 * capacity))
        phases.append(Phase(f"burst {number + 1}", 5, rate=3 * capacity))
    return (*phases, Phase("calm after", 15, rate=0.3 * capacity))


SCENARIOS = {
    "smoke": Scenario(
        "a few requests: does it answer?",
        lambda _: (Phase("smoke", 8, rate=2.0),),
        every_kind,
    ),
    "steady": Scenario(
        "0.7 of capacity for a minute",
        lambda capacity: (Phase("steady", 60, rate=0.7 * capacity),),
        recognition,
    ),
    "burst": Scenario("0.3 of capacity, and thrice 3 times it for 5 s", _bursts, recognition),
    "overload": Scenario(
        "5 times capacity for a minute, between calm ones",
        lambda capacity: (
            Phase("steady", 30, rate=0.8 * capacity),
            Phase("overload", 60, rate=5 * capacity),
            Phase("after", 20, rate=0.8 * capacity),
        ),
        recognition,
    ),
    "mix": Scenario(
        "recognition, enrolment and removal at 0.7 of capacity for a minute",
        lambda capacity: (Phase("mix", 60, rate=0.7 * capacity),),
        enrolment_and_recognition,
    ),
    "soak": Scenario(
        "everyday pictures at 0.7 of capacity for half an hour",
        lambda capacity: (Phase("soak", 1800, rate=0.7 * capacity),),
        everyday,
    ),
}


def _shared(request: Request, name: str, share: float) -> Request:
    return replace(request, name=name, share=share)


def names() -> Sequence[str]:
    return list(SCENARIOS)
