"""The order of a queue: who comes first, but what is small may pass what is large, for a while.

Each piece of work has a place in time: its arrival plus a handicap, ``STRETCH`` times what it takes
itself, up to a bound. The earliest place is next. So a small piece passes every larger one that
came at most the difference of their handicaps before it: a large one is delayed in proportion to
its size, and by nothing that comes later than the bound. No age, however large the piece, leads to
starvation. Pieces of one cost keep their order.

This is Jackson's dynamic priority discipline (J. R. Jackson, "Queues with Dynamic Priority
Discipline", Management Science 8, 1961), with the time of service as the urgency number: between
first come, first served (no stretch) and shortest job first (an infinite one). Knows no time of
its own and nothing of batches.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, TypeVar

from serve_app.request_context import RequestContext

Item = TypeVar("Item")

STRETCH = 2.0
"""In simulations with large images of 40 units, more changes little (tests/batching)."""


@dataclass(slots=True, eq=False)
class Piece(Generic[Item]):
    """One item of work and who waits for it. ``place``: its time in the queue's order, and its
    number, which orders those of one time."""

    item: Item
    cost: int
    context: RequestContext
    future: asyncio.Future[Any]
    since: float
    place: tuple[float, int]

    def is_wanted(self, now: float) -> bool:
        """Somebody still waits for it, and not in vain. Any thread may ask."""
        return not self.future.done() and now < self.context.deadline


def handicap_s(service_s: float, bound_s: float) -> float:
    """Seconds by which the place of a piece that takes ``service_s`` is behind its arrival."""
    return min(bound_s, STRETCH * service_s)


class FairQueue(Generic[Item]):
    """Pieces by their places. ``cost``: of all that wait."""

    def __init__(self) -> None:
        self._pieces: list[Piece[Item]] = []
        self.cost = 0

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def first(self) -> Piece[Item] | None:
        return self._pieces[0] if self._pieces else None

    def cost_before(self, time: float) -> int:
        """Of what would be taken before a piece whose place is at ``time``."""
        position = bisect_left(self._pieces, (time, inf), key=_place)
        return sum(piece.cost for piece in self._pieces[:position])

    def add(self, piece: Piece[Item]) -> None:
        insort(self._pieces, piece, key=_place)
        self.cost += piece.cost

    def discard(self, piece: Piece[Item]) -> bool:
        """Take it out; whether it was there."""
        position = bisect_left(self._pieces, piece.place, key=_place)
        if position == len(self._pieces) or self._pieces[position] is not piece:
            return False
        del self._pieces[position]
        self.cost -= piece.cost
        return True


def _place(piece: Piece[Any]) -> tuple[float, int]:
    return piece.place
