"""Must hold 4: two hundred mixed requests at once answer the same as one at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.integration.pictures import gallery_image, scene
from tests.integration.service import Service

GALLERIES = 4
INITIAL = 6
BUILDS, ADDS, REMOVES, INFERS = 20, 60, 20, 100

Post = Callable[[str, dict[str, Any]], Awaitable[Any]]


@dataclass
class Outcome:
    """What is the same whatever the order: final galleries, and each answer to an infer request."""

    labels: list[Counter[str]] = field(default_factory=list)
    built: list[dict[str, str]] = field(default_factory=list)
    found: list[tuple[str, float]] = field(default_factory=list)
    checked: list[tuple[str, float]] = field(default_factory=list)


async def scenario(post: Post, *, at_once: bool) -> Outcome:
    galleries = []
    for gallery in range(GALLERIES):
        people = [gallery * 1000 + i for i in range(INITIAL)]
        galleries.append((await post("build", {"imageLabelPairs": pairs(people)}))["indexKey"])
    requests: list[Awaitable[Any]] = []
    kinds: list[str] = []

    def plan(kind: str, operation: str, body: dict[str, Any]) -> None:
        kinds.append(kind)
        requests.append(post(operation, body))

    for i in range(ADDS):
        gallery = i % GALLERIES
        added = pairs([gallery * 1000 + 100 + i])
        plan("add", "add", {"imageLabelPairs": added, "indexKey": galleries[gallery]})
        if i < REMOVES:
            plan("remove", "remove", {"ids": [i // GALLERIES], "indexKey": galleries[gallery]})
        if i < BUILDS:
            people = [90_000 + 10 * i + j for j in range(3)]
            plan("build", "build", {"imageLabelPairs": pairs(people)})
    for i in range(INFERS):
        gallery = i % GALLERIES  # the last of the initial people is never removed
        body = {"image": scene(gallery * 1000 + INITIAL - 1), "visualize": False, "topk": 1}
        plan("infer", "infer", body | {"indexKey": galleries[gallery]})
    assert len(requests) == 200
    if at_once:
        replies = await asyncio.gather(*requests)
    else:
        replies = [await request for request in requests]

    outcome = Outcome()
    counts: dict[str, list[int]] = {}
    for kind, reply in zip(kinds, replies, strict=True):
        if kind == "build":
            outcome.built.append(reply["idMap"])
        elif kind == "infer":
            outcome.found.append(best(reply))
        else:
            assert reply["imageCount"] == len(reply["idMap"])
            counts.setdefault(kind, []).append(reply["imageCount"])
    for gallery, key in enumerate(galleries):
        final = (await post("remove", {"ids": [], "indexKey": key}))["idMap"]
        outcome.labels.append(Counter(final.values()))
        for i in range(gallery, ADDS, GALLERIES):  # every vector is the right one
            number = gallery * 1000 + 100 + i
            body = {"image": scene(number), "visualize": False, "topk": 1, "indexKey": key}
            outcome.checked.append(best(await post("infer", body)))
            assert outcome.checked[-1][0] == label(number)
    return outcome


def pairs(people: list[int]) -> list[dict[str, str]]:
    return [{"image": gallery_image(number), "label": label(number)} for number in people]


def label(number: int) -> str:
    return f"person {number}"


def best(reply: Any) -> tuple[str, float]:
    (face,) = reply["faces"]
    (candidate,) = face["recResults"]
    return candidate["label"], candidate["score"]


async def run(service: Service, *, at_once: bool) -> Outcome:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(trust_env=False, timeout=120, limits=limits) as client:

        async def post(operation: str, body: dict[str, Any]) -> Any:
            name = operation if operation == "infer" else f"index-{operation}"
            url = f"{service.url}/paddlex/face-recognition-{name}"
            reply = await client.post(url, json=body)
            assert reply.status_code == 200, reply.text
            return reply.json()["result"]

        return await scenario(post, at_once=at_once)


@pytest.mark.timeout(300)
def test_two_hundred_at_once_equal_one_at_a_time(service: Service) -> None:
    serial = asyncio.run(run(service, at_once=False))
    concurrent = asyncio.run(run(service, at_once=True))
    assert concurrent.labels == serial.labels
    assert all(count == 1 for labels in concurrent.labels for count in labels.values())
    assert concurrent.built == serial.built
    for mine, theirs in (
        (concurrent.found, serial.found),
        (concurrent.checked, serial.checked),
    ):
        assert [name for name, _ in mine] == [name for name, _ in theirs]
        for (_, a), (_, b) in zip(mine, theirs, strict=True):
            assert abs(a - b) < 1e-5
            assert a > 0.999


@pytest.mark.timeout(120)
def test_eight_adds_at_once_are_eight_more(service: Service) -> None:
    async def adds() -> list[Any]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            url = f"{service.url}/paddlex/face-recognition-index"
            built = await client.post(f"{url}-build", json={"imageLabelPairs": pairs([1])})
            key = built.json()["result"]["indexKey"]
            bodies = [{"imageLabelPairs": pairs([i]), "indexKey": key} for i in range(2, 10)]
            replies = await asyncio.gather(
                *(client.post(f"{url}-add", json=body) for body in bodies)
            )
            return [reply.json()["result"] for reply in replies]

    results = asyncio.run(adds())
    assert sorted(result["imageCount"] for result in results) == list(range(2, 10))
    last = max(results, key=lambda result: result["imageCount"])
    assert sorted(last["idMap"]) == [str(i) for i in range(9)]
