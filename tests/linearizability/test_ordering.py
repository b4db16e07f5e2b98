"""The search against the definition on small histories; on large ones what it must find, in time.

Three oracles: a gallery in memory and a register, each tried in every order, and for large ones
histories that are right or wrong by construction.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .brute_force import by_memory, by_model, linearizable
from .checker import Outcome, check
from .history import History, Operation
from .memory import (
    FaultyGallery,
    ForgetfulGallery,
    MemoryGallery,
    RaisingTheDeadGallery,
    ReusingGallery,
    StaleGallery,
    TornGallery,
    TwiceGallery,
)
from .models import GalleryModel, UnbuiltGalleryModel
from .ordering import Model
from .register import Register
from .simulated import simulate

FAULTS = [
    StaleGallery,
    TornGallery,
    ForgetfulGallery,
    ReusingGallery,
    TwiceGallery,
    RaisingTheDeadGallery,
]


def outcome(operations: Sequence[Operation], model: type[Model]) -> Outcome:
    (verdict,) = check(History.of(operations), model)
    return verdict.outcome


def mutated(operations: Sequence[Operation], chance: random.Random) -> list[Operation]:
    """One answer changed, or one operation's times."""
    changed = list(operations)
    number = chance.choice([n for n, operation in enumerate(changed) if operation.known])
    chosen = changed[number]
    if isinstance(chosen.result, tuple) and chance.random() < 0.8:
        changed[number] = replace(chosen, result=_other(chosen, chance))
    else:
        moment = chance.choice(changed).invoked
        changed[number] = replace(chosen, invoked=moment, returned=moment)
    return sorted(changed, key=lambda operation: operation.invoked)


def _other(operation: Operation, chance: random.Random) -> Any:
    if operation.kind == "search":
        found = set(operation.result)
        return tuple(sorted(found ^ {chance.choice([*found, max(found, default=-1) + 1])}))
    ids, count = operation.result
    shifted = tuple(number + chance.choice([-1, 0, 1]) for number in ids)
    if operation.kind == "remove":
        shifted = tuple(sorted(shifted))  # their order means nothing
    return (shifted, count + chance.choice([-1, 0, 1]))


def small(chance: random.Random, lifecycle: bool, unknown: float) -> list[Operation]:
    """At most six operations: the looks at the end are left out, or all but one."""
    gallery = MemoryGallery(built=not lifecycle)
    clients = chance.choice([2, 3])
    history = simulate(
        chance,
        gallery,
        clients=clients,
        operations=6 // clients,
        unknown=unknown,
        lifecycle=lifecycle,
    )
    return list(history.operations[: -4 if chance.random() < 0.5 else -3])


@pytest.mark.parametrize("lifecycle", [False, True])
@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), mutations=st.integers(0, 2))
def test_agrees_with_every_order_of_a_gallery(lifecycle: bool, seed: int, mutations: int) -> None:
    chance = random.Random(seed)
    operations = small(chance, lifecycle, unknown=0.3)
    for _ in range(mutations):
        if any(operation.known for operation in operations):
            operations = mutated(operations, chance)
    model = UnbuiltGalleryModel if lifecycle else GalleryModel
    expected = linearizable(operations, by_memory(built=not lifecycle))
    assert expected or mutations
    assert (outcome(operations, model) is Outcome.LINEARIZABLE) == expected


values = st.integers(0, 2)
calls = st.one_of(
    st.tuples(st.just("write"), values, st.none()),
    st.tuples(st.just("read"), st.none(), values),
    st.tuples(st.just("swap"), st.tuples(values, values), st.integers(0, 1)),
    st.tuples(st.just("flip"), st.none(), st.none()),
)
times = st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 5)))


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(calls, times), min_size=1, max_size=6))
def test_agrees_with_every_order_of_a_register(drawn: Any) -> None:
    """What the search leaves out is right for any model: here writes hide each other, answers
    need not tell the order, and a step may lead to several states."""
    operations = []
    for (kind, argument, result), (invoked, length) in drawn:
        returned = None if length is None else invoked + length
        told = None if returned is None else result
        operations.append(Operation(0, "r", kind, argument, told, invoked, returned))
    expected = linearizable(operations, by_model(Register))
    assert (outcome(operations, Register) is Outcome.LINEARIZABLE) == expected


def test_mutations_are_found() -> None:
    """As many as violate by the definition, and enough of them for that to mean something."""
    violating = rejected = 0
    for seed in range(300):
        chance = random.Random(seed)
        operations = mutated(small(chance, lifecycle=False, unknown=0.0), chance)
        if not linearizable(operations, by_memory(built=True)):
            violating += 1
            rejected += outcome(operations, GalleryModel) is Outcome.VIOLATION
    assert rejected == violating
    assert violating > 150


@pytest.mark.parametrize("unknown", [0.0, 0.05, 0.2])
def test_large_histories_are_decided_soon(unknown: float) -> None:
    for seed in range(5):
        history = simulate(random.Random(seed), MemoryGallery(), unknown=unknown)
        assert len(history.operations) == 8 * 60 + 4
        began = time.monotonic()
        assert outcome(history.operations, GalleryModel) is Outcome.LINEARIZABLE
        assert time.monotonic() - began < 5


def test_large_histories_of_a_gallery_that_comes_and_goes() -> None:
    for seed in range(5):
        gallery = MemoryGallery(built=False)
        history = simulate(random.Random(seed), gallery, unknown=0.02, lifecycle=True)
        assert outcome(history.operations, UnbuiltGalleryModel) is Outcome.LINEARIZABLE


@pytest.mark.parametrize("unknown", [0.0, 0.1])
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_galleries_are_found(fault: type[FaultyGallery], unknown: float) -> None:
    for seed in range(6):
        chance = random.Random(seed)
        history = simulate(chance, fault(chance), unknown=unknown)
        assert outcome(history.operations, GalleryModel) is Outcome.VIOLATION


def test_a_single_change_in_a_large_history_is_found() -> None:
    """An id taken from a search that must have seen it, or given to one that can't have."""
    for seed in range(20):
        chance = random.Random(seed)
        operations = list(simulate(chance, MemoryGallery(), unknown=0.02).operations)
        number = chance.choice(certain := _certain(operations))
        result = operations[number].result
        operations[number] = replace(operations[number], result=result[1:])
        assert certain
        assert outcome(operations, GalleryModel) is Outcome.VIOLATION


def _certain(operations: Sequence[Operation]) -> list[int]:
    """Searches whose first id was acknowledged before and nobody had tried to remove."""
    added: dict[int, int] = {}
    tried: dict[int, int] = {}
    for operation in operations:
        if operation.kind == "add" and operation.returned is not None:
            added |= dict.fromkeys(operation.result[0], operation.returned)
        if operation.kind == "remove":
            for number in operation.argument:
                tried[number] = min(operation.invoked, tried.get(number, operation.invoked))
    found = []
    for position, operation in enumerate(operations):
        if operation.kind == "search" and operation.returned is not None and operation.result:
            first = operation.result[0]
            never = float("inf")
            seen = added.get(first, never) < operation.invoked
            if seen and operation.returned < tried.get(first, never):
                found.append(position)
    return found
