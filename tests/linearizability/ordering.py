"""The search for an order of a history's operations that a sequential object could have had.

Wing and Gong's search with Lowe's memoisation: depth first over configurations (operations placed
as a bitmask, state of the object), each visited once, without recursion. Knows no galleries: what
operations mean is the model's. What makes it fast, none of which changes an answer:

* One that fits now and never changes anything (``reads``) is placed at once: later is no better.
* Operations of unknown outcome need not be placed, so they are placed only right before a known
  one that fits or leads elsewhere because of them. Equal ones go in the order of their calls.
* A model may look ahead (``forbids``) and tell which operations a step makes impossible for good.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .history import Operation

State = Hashable

STEPS_A_GLANCE = 256
"""Configurations between two looks at the clock."""


class Model(Protocol):
    """An object as a sequence of operations sees it. Made from the operations to be ordered."""

    def __init__(self, operations: Sequence[Operation]) -> None: ...

    @property
    def initial(self) -> State: ...

    def step(self, state: State, operation: Operation) -> Iterable[State]:
        """States after it; none if it can't have answered as it did. Of an unknown outcome: those
        after it took effect. May depend on kind, argument and result only."""
        ...

    def reads(self, operation: Operation) -> bool:
        """Whether one that answered this can't have changed any state whatever: not only the
        present one. False is always right."""
        ...

    def forbids(self, state: State, following: State) -> int:
        """Bitmask, by position in the operations of the constructor, of those that can never come
        after a step from ``state`` to ``following``. 0 is always right."""
        ...

    def expected(self, state: State, operation: Operation) -> str:
        """What it would have answered, for people."""
        ...

    def describe(self, state: State) -> str: ...


class Node(NamedTuple):
    """A configuration. ``block``: the unknown operations placed since the last known one, from
    the state ``before``."""

    placed: int
    state: State
    block: tuple[int, ...] = ()
    before: State = None


@dataclass(frozen=True, slots=True)
class Ordering:
    """What was found. ``order`` is complete if ``complete``, else the longest there is.

    ``stuck``: operations that could be next by the clock, each with whether it fits ``state``.
    Neither ``complete`` nor ``exhausted``: the bounds were reached first.
    """

    complete: bool
    exhausted: bool
    order: tuple[int, ...]
    stuck: tuple[tuple[int, bool], ...]
    state: State
    configurations: int


class Search:
    """One search over ``operations``, which are in the order of their calls."""

    def __init__(
        self, model: Model, operations: Sequence[Operation], *, foresight: bool = True
    ) -> None:
        self._model = model
        self._operations = operations
        self._foresight = foresight
        self._known = [n for n, operation in enumerate(operations) if operation.known]
        self._known_mask = sum(1 << number for number in self._known)
        self._unknown_mask = ((1 << len(operations)) - 1) ^ self._known_mask
        self._reads = [operation.known and model.reads(operation) for operation in operations]
        self._twins = _twins(operations)
        self._states: dict[State, State] = {}
        self._steps: dict[tuple[State, int], tuple[State, ...]] = {}

    def run(self, deadline: float, most: int) -> Ordering:
        """Until ``deadline`` on ``time.monotonic`` or after ``most`` configurations."""
        start = Node(0, self._model.initial)
        visited = {start}
        path: list[int] = []
        stack = [self._successors(start)]
        deepest, last = -1, start
        longest: tuple[int, ...] = ()
        exhausted = True
        node: Node | None = start
        while stack:
            if node is not None:
                depth = (node.placed & self._known_mask).bit_count()
                if depth > deepest:
                    deepest, longest, last = depth, tuple(path), node
                if depth == len(self._known):
                    return Ordering(True, True, longest, (), node.state, len(visited))
                if len(visited) % STEPS_A_GLANCE == 0 and time.monotonic() > deadline:
                    exhausted = False
                    break
                if len(visited) >= most:
                    exhausted = False
                    break
            node = None
            for number, following in stack[-1]:
                if following not in visited:
                    visited.add(following)
                    path.append(number)
                    stack.append(self._successors(following))
                    node = following
                    break
            else:
                stack.pop()
                if path:
                    path.pop()
        enabled, _ = self._enabled(last.placed)
        stuck = tuple((number, bool(self._step(last.state, number))) for number in enabled)
        return Ordering(False, exhausted, longest, stuck, last.state, len(visited))

    def _successors(self, node: Node) -> Iterator[tuple[int, Node]]:
        placed, state, block, before = node
        known, unknown = self._enabled(placed)
        for number in known:
            if self._reads[number] and self._step(state, number) == (state,):
                if not self._idle(node, number, state):
                    yield number, Node(placed | 1 << number, state)
                return
        for number in known:
            for following in self._step(state, number):
                if self._open(node, number, following) and not self._idle(node, number, following):
                    yield number, Node(placed | 1 << number, following)
        for number in unknown:
            twin = self._twins.get(number)
            if twin is not None and not placed >> twin & 1:
                continue
            for following in self._step(state, number):
                if following == state or not self._open(node, number, following):
                    continue
                origin = before if block else state
                if block and number < block[-1]:
                    swapped = (*block[:-1], number, block[-1])
                    if following in self._reached(origin, swapped):
                        continue
                yield number, Node(placed | 1 << number, following, (*block, number), origin)

    def _enabled(self, placed: int) -> tuple[list[int], list[int]]:
        """Known and unknown operations before whose call nothing returned that is not placed."""
        known: list[int] = []
        first_return: int | None = None
        settled = placed | self._unknown_mask
        number = (~settled & (settled + 1)).bit_length() - 1
        while number < len(self._operations):
            operation = self._operations[number]
            # Equal times count as concurrent: the clock can't tell which was first.
            if first_return is not None and operation.invoked > first_return:
                break
            if not settled >> number & 1 and operation.returned is not None:
                known.append(number)
                if first_return is None or operation.returned < first_return:
                    first_return = operation.returned
            number += 1
        left = self._unknown_mask & ~placed
        unknown = []
        while left:
            lowest = (left & -left).bit_length() - 1
            left &= left - 1
            if first_return is None or self._operations[lowest].invoked <= first_return:
                unknown.append(lowest)
        return known, unknown

    def _step(self, state: State, number: int) -> tuple[State, ...]:
        key = (state, number)
        if key not in self._steps:
            after = set(self._model.step(state, self._operations[number]))
            # Equal states reached on different ways are kept once: they may be large.
            self._steps[key] = tuple(self._states.setdefault(each, each) for each in after)
        return self._steps[key]

    def _open(self, node: Node, number: int, following: State) -> bool:
        """Whether nothing that is still to come becomes impossible."""
        if not self._foresight:
            return True
        to_come = self._known_mask & ~(node.placed | 1 << number)
        return not self._model.forbids(node.state, following) & to_come

    def _idle(self, node: Node, number: int, following: State) -> bool:
        """Whether one of the block could as well come after ``number``, or not at all."""
        for position, unknown in enumerate(node.block):
            rest = (*node.block[:position], *node.block[position + 1 :], number)
            states = self._reached(node.before, rest)
            if following in states:
                return True
            if any(following in self._step(state, unknown) for state in states):
                return True
        return False

    def _reached(self, state: State, numbers: Iterable[int]) -> set[State]:
        states = {state}
        for number in numbers:
            states = {after for before in states for after in self._step(before, number)}
        return states


def _twins(operations: Sequence[Operation]) -> dict[int, int]:
    """Of each unknown operation the last equal one before it."""
    latest: dict[tuple[str, object], int] = {}
    twins = {}
    for number, operation in enumerate(operations):
        if not operation.known:
            key = (operation.kind, operation.argument)
            if key in latest:
                twins[number] = latest[key]
            latest[key] = number
    return twins
