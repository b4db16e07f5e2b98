"""Each mutation, however it ends, is told by one row of the audit log, in its own transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from serve_app.errors import FaceServeError, GalleryExistsError
from serve_app.index.mutations import (
    Add,
    Create,
    Drop,
    Mutation,
    Optimize,
    Remove,
    RemoveLabel,
)
from serve_app.index.store import GalleryStore
from serve_app.types import Caller, Embeddings, IndexType, Metric, Operation, Receipt
from tests.index.audits import actions, audited
from tests.index.samples import build, embeddings, info_of, vectors

ASKER = Caller(tenant="", actor="k7", address="192.0.2.9")
OP = Operation("op-1")


def create(key: str = "guests") -> Create:
    labels = ["Zoe Secret", "Bob Secret"]
    return Create(key, IndexType.FLAT, Metric.IP, labels, embeddings(2), False, OP, ASKER)


SAMPLES: dict[type, tuple[Callable[[], Mutation], str, int, int]] = {
    Create: (create, "0-1", 2, 1),
    Add: (
        lambda: Add("staff", ["Zoe Secret", "x"], embeddings(2), operation=OP, by=ASKER),
        "3-4",
        2,
        2,
    ),
    Remove: (lambda: Remove("staff", [2, 0, 99], operation=OP, by=ASKER), "0,2", 2, 2),
    RemoveLabel: (lambda: RemoveLabel("staff", "1", OP, ASKER), "1", 1, 2),
    Drop: (lambda: Drop("staff", OP, ASKER), "", 3, 1),
    Optimize: (lambda: Optimize("staff", OP, ASKER), "", 0, 1),
}
"""Of each kind of mutation one, on a gallery with the labels 0, 1 and 2: the ids that its row
tells, how many templates it was about, the gallery's seq after it."""


def test_no_kind_of_mutation_is_forgotten() -> None:
    assert set(SAMPLES) == set(get_args(Mutation))
    assert len({kind.action for kind in get_args(Mutation)}) == len(SAMPLES)


@pytest.mark.parametrize("kind", get_args(Mutation), ids=lambda kind: kind.__name__)
def test_a_row_for_every_mutation(any_store: GalleryStore, kind: type) -> None:
    build(any_store)
    make, ids, count, seq = SAMPLES[kind]
    mutation = make()
    staff = info_of(any_store)
    before = len(audited(any_store, mutation.key))
    any_store.do(mutation)
    rows = audited(any_store, mutation.key)
    assert len(rows) == before + 1
    row = rows[-1]
    assert (row.actor, row.address, row.tenant) == ("k7", "192.0.2.9", "")
    assert (row.action, row.result, row.operation) == (mutation.action, "ok", "op-1")
    assert (row.ids, row.count, row.seq) == (ids, count, seq)
    created = mutation.key == "guests"
    assert row.generation == (info_of(any_store, "guests") if created else staff).generation
    assert "Secret" not in repr(rows)
    # Sent again it only answers again, and that is not told.
    any_store.do(make())
    assert len(audited(any_store, mutation.key)) == before + 1


def test_what_failed_on_a_gallery_that_is_there(any_store: GalleryStore) -> None:
    build(any_store)
    info = info_of(any_store)
    other = Embeddings("arcface-9", vectors(1))
    refused: list[tuple[Mutation, str]] = [
        (create("staff"), "gallery_exists"),
        (Add("staff", ["x"], other, by=ASKER), "gallery_mismatch"),
        (Add("staff", ["x"], embeddings(1), operation=OP), "ok"),
        (Drop("staff", Operation("op-1", "other")), "operation_reused"),
    ]
    for mutation, result in refused:
        (answer,) = any_store.apply([mutation])
        assert result == (answer.code if isinstance(answer, FaceServeError) else "ok")
    rows = audited(any_store)[1:]
    assert [(row.action, row.result) for row in rows] == [
        ("build", "gallery_exists"),
        ("add", "gallery_mismatch"),
        ("add", "ok"),
        ("drop", "operation_reused"),
    ]
    assert [row.actor for row in rows] == ["k7", "k7", "operator", "operator"]
    assert [(row.ids, row.count) for row in rows if row.result != "ok"] == [("", 0)] * 3
    assert [row.seq for row in rows] == [1, 1, 2, 2]
    assert {row.generation for row in rows} == {info.generation}


def test_nobody_begins_chains_of_galleries_that_are_not_there(any_store: GalleryStore) -> None:
    (answer,) = any_store.apply([Drop("nothing")])
    assert isinstance(answer, FaceServeError)
    assert audited(any_store, "nothing") == []


def test_a_group_is_told_in_its_order(any_store: GalleryStore) -> None:
    build(any_store)
    build(any_store, "guests")
    repeated = Add("staff", ["a"], embeddings(1), operation=Operation("twice"))
    group: list[Mutation] = [
        repeated,
        Remove("guests", [0]),
        create("staff"),
        repeated,
        RemoveLabel("staff", "a"),
        Drop("guests"),
        create("guests"),
    ]
    answers = any_store.apply(group)
    assert [isinstance(answer, Receipt) for answer in answers] == [
        *(True, True, False),
        *(True, True, True, True),
    ]
    assert actions(any_store)[1:] == [
        ("add", "ok", "3", 1),
        ("build", "gallery_exists", "", 0),
        ("remove_label", "ok", "3", 1),
    ]
    assert actions(any_store, "guests")[1:] == [
        ("remove", "ok", "0", 1),
        ("drop", "ok", "", 2),
        ("build", "ok", "0-1", 2),
    ]


def test_a_chain_outlives_its_gallery(any_store: GalleryStore) -> None:
    build(any_store)
    any_store.do(Drop("staff"))
    build(any_store)
    assert [row.action for row in audited(any_store)] == ["build", "drop", "build"]
    with pytest.raises(GalleryExistsError):
        build(any_store)
    assert len(audited(any_store)) == 4
