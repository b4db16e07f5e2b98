"""How fast a stage works off its queue, and so how long it takes until new work is begun.

The wait is the backlog over the rate at which it drains (Little's law, J. D. C. Little, Operations
Research 9, 1961): a bound in seconds then holds whatever the images, the models and the load of the
machine are, which a bound in items does not. The rate is that of busy slots, so it is known at any
load; a batch that is late counts as slow before it is back.

Pure arithmetic over times that are given to it.
"""

from __future__ import annotations

from collections.abc import Hashable

MEMORY = 10
"""Batches after which the mean has forgotten about two thirds: half a second to two under load."""


class Drain:
    """Means over the last batches, which forget: of the seconds that a unit of cost takes one slot,
    and of the cost of an item."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, tuple[int, int, float]] = {}
        self._seconds = 0.0
        self._cost = 0.0
        self._items = 0.0

    @property
    def pace_s(self) -> float:
        """Seconds a unit of cost takes one slot; 0 until something is known."""
        return self._seconds / self._cost if self._cost else 0.0

    @property
    def usual_cost(self) -> int:
        """Of an item; 1 until something is known."""
        return max(1, round(self._cost / self._items)) if self._items else 1

    def begun(self, batch: Hashable, cost: int, items: int, now: float) -> None:
        self._under_way[batch] = (cost, items, now)

    def ended(self, batch: Hashable, now: float, *, done: int) -> None:
        """``done``: cost of what was done of it; bad items are refused quickly and tell nothing. Of
        what was broken off nothing is done, which tells something only if it was late."""
        cost, items, since = self._under_way.pop(batch)
        taken = now - since
        if not done:
            if taken <= cost * self.pace_s:
                return
            done = cost
        keep = 1 - 1 / MEMORY
        self._seconds = keep * self._seconds + taken
        self._cost = keep * self._cost + done
        self._items = keep * self._items + items * done / cost

    def wait_s(self, queued: int, slots: int, now: float) -> float:
        """Expected seconds until work that comes now is begun, behind a cost of ``queued``."""
        if len(self._under_way) < slots:
            return 0.0
        rate = left = 0.0
        for cost, _, since in self._under_way.values():
            pace = max(self.pace_s, (now - since) / cost)
            if pace <= 0:
                return 0.0
            rate += 1 / pace
            left += cost - (now - since) / pace
        return (queued + left) / rate
