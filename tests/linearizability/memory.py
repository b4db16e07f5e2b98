"""A gallery in memory that is right, and ones that are wrong in ways that galleries go wrong.

Written apart from ``models``: the checker's tests compare the two.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

from .scenario import Absent, Exists


class MemoryGallery:
    """Atomic and thread-safe. Starts there and empty, or with ``built`` False absent."""

    def __init__(self, *, built: bool = True) -> None:
        self._lock = threading.Lock()
        self.labels: dict[int, str] | None = {} if built else None
        self.next_id = 0

    def build(self, labels: Sequence[str]) -> tuple[list[int], int]:
        with self._lock:
            if self.labels is not None:
                raise Exists
            self.labels, self.next_id = {}, 0
            return self._enrol(labels), len(labels)

    def drop(self) -> None:
        with self._lock:
            self._held()
            self.labels = None

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        with self._lock:
            return self._enrol(labels), len(self._held())

    def remove(self, ids: Sequence[int]) -> tuple[list[int], int]:
        with self._lock:
            held = self._held()
            gone = [number for number in sorted(set(ids)) if held.pop(number, None) is not None]
            return gone, len(held)

    def search(self, label: str | None) -> set[int]:
        with self._lock:
            return self._matching(self._held(), label)

    def _held(self) -> dict[int, str]:
        if self.labels is None:
            raise Absent
        return self.labels

    def _enrol(self, labels: Sequence[str]) -> list[int]:
        held = self._held()
        ids = list(range(self.next_id, self.next_id + len(labels)))
        held.update(zip(ids, labels, strict=True))
        self.next_id += len(labels)
        return ids

    @staticmethod
    def _matching(held: dict[int, str], label: str | None) -> set[int]:
        return {number for number, each in held.items() if label is None or each == label}


class FaultyGallery(MemoryGallery):
    """Right but for now and then."""

    def __init__(self, chance: random.Random, rate: float = 0.15) -> None:
        super().__init__()
        self._chance = chance
        self._rate = rate
        self._earlier: list[dict[int, str]] = [{}]
        """The gallery after each change so far."""

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        answer = super().add(labels)
        self._earlier.append(dict(self._held()))
        return answer

    def remove(self, ids: Sequence[int]) -> tuple[list[int], int]:
        answer = super().remove(ids)
        self._earlier.append(dict(self._held()))
        return answer

    def fails(self) -> bool:
        return self._chance.random() < self._rate


class StaleGallery(FaultyGallery):
    """A replica that did not ask the store: it lacks the last changes."""

    def search(self, label: str | None) -> set[int]:
        if self.fails():
            return self._matching(self._earlier[max(0, len(self._earlier) - 6)], label)
        return super().search(label)


class TornGallery(FaultyGallery):
    """Two shards, ids by remainder, one of which answers from some changes ago."""

    def search(self, label: str | None) -> set[int]:
        found = super().search(label)
        if self.fails():
            old = self._matching(self._earlier[max(0, len(self._earlier) - 6)], label)
            behind = self._chance.randrange(2)
            return {n for n in found if n % 2 != behind} | {n for n in old if n % 2 == behind}
        return found


class ForgetfulGallery(FaultyGallery):
    """Acknowledges an add and loses it."""

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        ids, count = super().add(labels)
        if self.fails():
            for number in ids:
                self._held().pop(number)
        return ids, count


class ReusingGallery(FaultyGallery):
    """Gives the id of a removed template again, as the largest id there plus one does."""

    def remove(self, ids: Sequence[int]) -> tuple[list[int], int]:
        answer = super().remove(ids)
        self.next_id = max(self._held(), default=-1) + 1
        return answer


class TwiceGallery(FaultyGallery):
    """A retry whose first try was done after all."""

    def add(self, labels: Sequence[str]) -> tuple[list[int], int]:
        if self.fails():
            super().add(labels)
        return super().add(labels)


class RaisingTheDeadGallery(FaultyGallery):
    """A removal that a rebuild undoes."""

    def search(self, label: str | None) -> set[int]:
        if self.fails():
            old = self._earlier[max(0, len(self._earlier) - 8)]
            self.labels = old | self._held()
        return super().search(label)
