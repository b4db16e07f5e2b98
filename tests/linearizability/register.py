"""A register as a sequential object: the model of textbooks, for the checker's own tests.

``write`` value -> None, ``read`` -> value, ``swap`` (old, new) -> 1 or 0, ``flip`` -> None, which
leaves 0 or 1, nobody knows which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .history import Operation
from .ordering import State


class Register:
    """Starts at 0. See ``ordering.Model``."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        pass

    @property
    def initial(self) -> State:
        return 0

    def step(self, state: State, operation: Operation) -> Iterable[State]:
        kind, argument, result = operation.kind, operation.argument, operation.result
        if kind == "write":
            return [argument]
        if kind == "flip":
            return [0, 1]
        if kind == "swap":
            old, new = argument
            if operation.known and result != (state == old):
                return []
            return [new if state == old else state]
        return [state] if not operation.known or result == state else []

    def reads(self, operation: Operation) -> bool:
        return operation.kind == "read" or (operation.kind == "swap" and operation.result == 0)

    def forbids(self, state: State, following: State) -> int:
        return 0

    def expected(self, state: State, operation: Operation) -> str:
        return str(state)

    def describe(self, state: State) -> str:
        return str(state)
