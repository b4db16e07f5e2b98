"""The order of a queue: who comes first, but what is small may pass what is large, for a while.

Each piece of work has a place in time: its arrival plus a handicap that grows with its cost, up to
a bound. The earliest place is next. So a small piece passes every larger one that came at most the
difference of their handicaps before it, and nothing is ever passed by what comes later than the
bound: no age, however large the piece, leads to starvation. Pieces of one cost keep their order.

This is Jackson's dynamic priority discipline (J. R. Jackson, "Queues with Dynamic Priority
Discipline", Management Science 8, 1961), with the cost as the urgency number. Knows no time of its
own and nothing of batches.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serve_app.request_context import RequestContext

Item = TypeVar("Item")


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


def handicap_s(cost: int, full_cost: int, bound_s: float) -> float:
    """Seconds by which a piece's place is behind its arrival: 0 for a cost of 1, ``bound_s`` for
    ``full_cost`` (a whole batch) and all above."""
    if full_cost <= 1:
        return 0.0 if cost <= 1 else bound_s
    return bound_s * min(1.0, (cost - 1) / (full_cost - 1))


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
