"""Linearizability by its definition: every order of every choice of operations. For a few only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, permutations

from .history import Operation
from .memory import MemoryGallery
from .ordering import Model
from .simulated import perform

Fits = Callable[[Sequence[Operation]], bool]
"""Whether these, one after another, could have answered what they did."""


def linearizable(operations: Sequence[Operation], fits: Fits) -> bool:
    known = [operation for operation in operations if operation.known]
    unknown = [operation for operation in operations if not operation.known]
    choices = chain.from_iterable(combinations(unknown, count) for count in range(len(unknown) + 1))
    return any(
        fits(order)
        for chosen in choices
        for order in permutations([*known, *chosen])
        if _keeps_time(order)
    )


def _keeps_time(order: Sequence[Operation]) -> bool:
    """Whether nothing comes after what was called when it had returned."""
    latest_call = -1
    for operation in order:
        latest_call = max(latest_call, operation.invoked)
        if operation.returned is not None and operation.returned < latest_call:
            return False
    return True


def by_memory(built: bool) -> Fits:
    """Asks a gallery in memory, which shares nothing with the model."""

    def fits(order: Sequence[Operation]) -> bool:
        gallery = MemoryGallery(built=built)
        for operation in order:
            answer = perform(gallery, operation.kind, operation.argument)
            if operation.known and answer != operation.result:
                return False
        return True

    return fits


def by_model(model: type[Model]) -> Fits:
    """Asks the model, without the checker."""

    def fits(order: Sequence[Operation]) -> bool:
        asked = model(order)
        states = {asked.initial}
        for operation in order:
            states = {after for state in states for after in asked.step(state, operation)}
        return bool(states)

    return fits
