"""Steady load: reads that see a whole gallery, and changes to it, at times that nobody's answers
move (an open loop).

All enrol one face under labels of their own, so that every search for it finds them all: each read
checks each change.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from load_tests.drill.addresses import Addresses
from load_tests.drill.client import Answer, Client
from load_tests.drill.journal import Journal, Kind, Operation
from load_tests.pictures import Picture
from load_tests.traffic.arrivals import due_requests
from load_tests.traffic.plan import Phase, Plan, Request

EVERYBODY = 1000
"""The most candidates that a search may ask for."""
AT_MOST_S = 3600.0
ROUTES = {
    kind: f"/face-recognition-{name}"
    for kind, name in {"infer": "infer", "add": "index-add", "remove": "index-remove"}.items()
}
SHARES: dict[Kind, float] = {"infer": 0.7, "add": 0.18, "remove": 0.12}


@dataclass(frozen=True, slots=True)
class Enrolled:
    label: str
    id: int


class Traffic:
    """A thread with an event loop of its own sends from entering to leaving the block, then waits
    for what is under way."""

    def __init__(
        self,
        addresses: Addresses,
        journal: Journal,
        picture: Picture,
        gallery: str,
        *,
        rate: float,
        seed: int = 1,
    ) -> None:
        self._addresses = addresses
        self._journal = journal
        self._image = picture.base64
        self._gallery = gallery
        self._rate = rate
        self._rng = random.Random(seed)
        self._seed = seed
        self._enrolled: list[Enrolled] = []
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as failure:  # told where the block ends
            self._failure = failure

    async def _send(self) -> None:
        client = Client(self._addresses, self._journal)
        start = time.monotonic()
        tasks: list[asyncio.Task[None]] = []  # all of them: gather raises what any of them did
        for at_s, kind in due(self._rate, self._seed):
            await asyncio.sleep(max(0.0, start + at_s - time.monotonic()))
            if self._stop.is_set():
                break
            tasks.append(asyncio.create_task(self._operate(client, kind, start + at_s)))
        await asyncio.gather(*tasks)
        await client.close()

    async def _operate(self, client: Client, kind: Kind, due_s: float) -> None:
        name = uuid4().hex
        gone = None
        if kind == "remove":
            gone = self._take()
            kind = kind if gone else "infer"
        label = gone.label if gone else name
        body: dict[str, Any] = {"indexKey": self._gallery}
        if kind == "add":
            body["imageLabelPairs"] = [{"image": self._image, "label": label}]
        elif gone is not None:
            body["ids"] = [gone.id]
        else:
            body |= search_for(self._image)
        answer = await client.ask(name, ROUTES[kind], body, due_s, change=kind != "infer")
        self._note(name, kind, label, due_s, answer)

    def _note(self, name: str, kind: Kind, label: str, due_s: float, answer: Answer) -> None:
        seen: frozenset[str] = frozenset()
        if answer.result is not None and kind == "infer":
            seen = labels_seen(answer.result)
        if answer.result is not None and kind == "add":
            (number,) = (int(n) for n, one in answer.result["idMap"].items() if one == label)
            self._enrolled.append(Enrolled(label, number))
        self._journal.operations.append(
            Operation(
                name, kind, "" if kind == "infer" else label, due_s, answer.begun_s,
                answer.ended_s, answer.result is not None, seen,
            )
        )  # fmt: skip

    def _take(self) -> Enrolled | None:
        """Somebody whose enrolment was acknowledged; nobody is taken twice."""
        if not self._enrolled:
            return None
        return self._enrolled.pop(self._rng.randrange(len(self._enrolled)))


def due(rate: float, seed: int) -> Iterator[tuple[float, Kind]]:
    """Seconds from the start, and what is due then: as independent people come."""
    kinds: dict[str, Kind] = {kind: kind for kind in SHARES}
    requests = tuple(Request(kind, ROUTES[kind], share=share) for kind, share in SHARES.items())
    plan = Plan((Phase("steady", AT_MOST_S, rate=rate),), requests, seed=seed)
    for one in due_requests(plan):
        yield one.at_s, kinds[one.request.name]


def search_for(image: str) -> dict[str, Any]:
    """A body that finds everybody who looks like ``image``."""
    return {"image": image, "visualize": False, "topk": EVERYBODY}


def labels_seen(result: Any) -> frozenset[str]:
    """Of the answer to ``search_for`` a picture of one face."""
    (face,) = result["faces"]
    return frozenset(candidate["label"] for candidate in face["recResults"])
