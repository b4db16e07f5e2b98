"""Histories of clients on a gallery in memory, on a clock that is not real: one for each seed.

An operation takes effect at a moment between call and return, so that what a right gallery answers
is linearizable by construction, and what a wrong one does is the same every time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from typing import Any

from .history import History, Operation, frozen
from .memory import MemoryGallery
from .models import ABSENT, EXISTS
from .scenario import Absent, Exists

LABELS = ("anna", "ben", "carla")


def simulate(
    chance: random.Random,
    gallery: MemoryGallery,
    *,
    clients: int = 8,
    operations: int = 60,
    unknown: float = 0.0,
    lifecycle: bool = False,
) -> History:
    """``operations`` a client; a share of ``unknown`` is never answered, and of these a third is
    never done and a third long after the client went on. Ends with a look at everything."""
    # Effects in the order of time: (moment, tie-breaker, client).
    waiting = [(chance.randrange(10), client, client) for client in range(clients)]
    heapq.heapify(waiting)
    left = dict.fromkeys(range(clients), operations)
    late: list[tuple[int, int, str, Any]] = []
    called = dict.fromkeys(range(clients), 0)
    done: list[Operation] = []
    ties = clients
    clock = 0
    while waiting:
        clock, _, client = heapq.heappop(waiting)
        while late and late[0][0] <= clock:
            _, _, kind, argument = heapq.heappop(late)
            perform(gallery, kind, argument)
        kind, argument = _choose(chance, gallery, lifecycle)
        returned: int | None = clock + chance.randrange(20)
        result: Any = None
        free = returned
        if chance.random() < unknown:
            returned = None
            fate = chance.randrange(3)
            if fate == 1:
                heapq.heappush(late, (clock + chance.randrange(400), ties, kind, argument))
            elif fate == 2:
                perform(gallery, kind, argument)
        else:
            result = perform(gallery, kind, argument)
        done.append(_operation(client, kind, argument, result, called[client], returned))
        left[client] -= 1
        if left[client]:
            called[client] = (free or clock) + chance.randrange(4)
            ties += 1
            heapq.heappush(waiting, (called[client] + chance.randrange(20), ties, client))
    end = clock + 1000
    for _, _, kind, argument in sorted(late, key=lambda each: each[:2]):
        perform(gallery, kind, argument)
    for number, label in enumerate((None, *LABELS)):
        found = perform(gallery, "search", label)
        moment = end + 10 * number
        done.append(_operation(clients, "search", label, found, moment, moment + 5))
    return History.of(done)


def _operation(
    client: int, kind: str, argument: Any, result: Any, called: int, returned: int | None
) -> Operation:
    """A step of the clock is a microsecond."""
    end = None if returned is None else 1000 * returned
    return Operation(client, "staff", kind, argument, result, 1000 * called, end)


def perform(gallery: MemoryGallery, kind: str, argument: Any) -> Any:
    """The result as a recorder notes it."""
    try:
        if kind == "search":
            return tuple(sorted(gallery.search(argument)))
        if kind == "drop":
            return gallery.drop()
        if kind == "remove":
            return frozen(gallery.remove(argument))
        return frozen(gallery.add(argument) if kind == "add" else gallery.build(argument))
    except Absent:
        return ABSENT
    except Exists:
        return EXISTS


def _choose(chance: random.Random, gallery: MemoryGallery, lifecycle: bool) -> tuple[str, Any]:
    kinds = ["add"] * 6 + ["remove"] * 5 + ["search"] * 8
    if lifecycle:
        kinds += ["build", "drop"] * 2
    kind = chance.choice(kinds)
    if kind in {"add", "build"}:
        return kind, tuple(chance.choices(LABELS, k=chance.choice([1, 1, 2])))
    if kind == "remove":
        held: Sequence[int] = sorted(gallery.labels or ())
        some = chance.sample(held, min(len(held), chance.choice([1, 1, 2])))
        return kind, (*some, *([chance.randrange(9)] if chance.random() < 0.2 else []))
    return kind, chance.choice([None, *LABELS]) if kind == "search" else None
