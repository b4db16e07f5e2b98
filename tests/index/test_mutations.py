"""Mutations as values: each names its operation, and which of them erase."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from serve_app.index.mutations import (
    ERASING,
    Add,
    Create,
    Drop,
    Mutation,
    Optimize,
    Remove,
    RemoveLabel,
    unnamed,
)
from serve_app.types import Metric, Operation

from .samples import embeddings

EACH: list[Mutation] = [
    Create("staff", "Flat", Metric.IP, ["a"], embeddings(1)),
    Add("staff", ["a"], embeddings(1)),
    Remove("staff", [0]),
    RemoveLabel("staff", "a"),
    Drop("staff"),
    Optimize("staff"),
]


def test_none_is_left_out() -> None:
    assert {type(mutation) for mutation in EACH} == set(typing.get_args(Mutation))


@pytest.mark.parametrize("mutation", EACH, ids=lambda mutation: type(mutation).__name__)
def test_an_operation_of_its_own_unless_it_is_given_one(mutation: Mutation) -> None:
    facts = {
        each.name: getattr(mutation, each.name)
        for each in dataclasses.fields(mutation)
        if each.name != "operation"
    }
    again = type(mutation)(**facts)
    assert again.operation.id != mutation.operation.id
    named = type(mutation)(**facts, operation=Operation("one", "digest"))
    assert named.operation == Operation("one", "digest")
    with pytest.raises(dataclasses.FrozenInstanceError):
        mutation.key = "guests"  # type: ignore[misc]


def test_operations_without_a_name_differ() -> None:
    assert len({unnamed().id for _ in range(1000)}) == 1000


def test_what_erases() -> None:
    assert [type(each) for each in EACH if isinstance(each, ERASING)] == [Remove, RemoveLabel, Drop]
