"""The store's face: several mutations in one transaction, and a database that doesn't answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidRequestError,
    OperationReusedError,
    UnavailableError,
)
from serve_app.index.mutations import Add, Create, Drop, Mutation, Optimize, Remove, RemoveLabel
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, IndexType, Metric, Operation, Receipt
from tests.index.samples import MODEL, build, embeddings, info_of, labels_of, locked, raw, vectors


def test_what_fails_leaves_its_neighbours_alone(any_store: GalleryStore) -> None:
    build(any_store)
    used = Operation("used", "digest")
    any_store.do(Optimize("staff", operation=used))
    steps: list[tuple[Mutation, type]] = [
        (Add("staff", ["a"], embeddings(1)), Receipt),
        (Add("guests", ["x"], embeddings(1)), GalleryNotFoundError),
        (Create("guests", "Flat", Metric.IP, ["b"], embeddings(1)), Receipt),
        (Add("guests", ["c"], embeddings(1)), Receipt),
        (Create("staff", "Flat", Metric.IP, ["x"], embeddings(1)), GalleryExistsError),
        (Create("guests", "Flat", Metric.L2, ["x"], embeddings(1)), GalleryExistsError),
        (Add("staff", ["x"], Embeddings("other", vectors(1))), GalleryMismatchError),
        (Add("staff", ["x"], embeddings(1), operation=Operation("used")), OperationReusedError),
        (Optimize("staff", operation=used), Receipt),
        (Remove("staff", [0, 3]), Receipt),
        (RemoveLabel("guests", "b"), Receipt),
        (Drop("nobody"), GalleryNotFoundError),
        (Add("staff", ["d", "e"], embeddings(2)), Receipt),
    ]
    answers = any_store.apply([mutation for mutation, _ in steps])
    assert [type(answer) for answer in answers] == [expected for _, expected in steps]
    assert labels_of(any_store) == {1: "1", 2: "2", 4: "d", 5: "e"}
    assert labels_of(any_store, "guests") == {1: "c"}
    assert info_of(any_store).seq == 4
    assert info_of(any_store, "guests").seq == 3
    ids = [getattr(answer, "ids", None) for answer in answers]
    assert ids == [[3], None, [0], [1], None, None, None, None, [], [0, 3], [0], None, [4, 5]]


def test_a_gallery_may_come_and_go_and_come_in_one_transaction(any_store: GalleryStore) -> None:
    build(any_store)
    first = info_of(any_store)
    answers = any_store.apply(
        [
            Drop("staff"),
            Add("staff", ["x"], embeddings(1)),
            Create("staff", "HNSW32", Metric.L2, ["a"], embeddings(1, dimension=4)),
            Remove("staff", [0], with_labels=True),
        ]
    )
    assert [type(answer) for answer in answers] == [
        Receipt,
        GalleryNotFoundError,
        Receipt,
        Receipt,
    ]
    info = info_of(any_store)
    assert (info.seq, info.size, info.dimension) == (2, 0, 4)
    assert info.generation != first.generation


def test_one_operation_twice_in_one_transaction(any_store: GalleryStore) -> None:
    build(any_store)
    mutation = Add("staff", ["x"], embeddings(1), operation=Operation("one", "digest"))
    other = Add("staff", ["y"], embeddings(1), operation=Operation("one", "other"))
    first, again, refused = any_store.apply([mutation, mutation, other])
    assert first == again == Receipt([3], 4, None, "staff")
    assert isinstance(refused, OperationReusedError)
    assert any_store.apply([]) == []


def test_a_text_that_the_database_cannot_hold_fails_alone(any_store: GalleryStore) -> None:
    build(any_store)
    add = Add("staff", ["\0"], embeddings(1))
    before, odd, after = any_store.apply([Optimize("staff"), add, RemoveLabel("staff", "1")])
    assert isinstance(before, Receipt)
    assert isinstance(odd, Receipt if any_store.one_writer else InvalidRequestError)
    assert isinstance(after, Receipt)
    assert after.ids == [1]


def test_an_error_of_one_is_raised(any_store: GalleryStore) -> None:
    with pytest.raises(GalleryNotFoundError):
        any_store.do(Drop("staff"))


def test_what_it_says_of_itself(any_store: GalleryStore, file: Path) -> None:
    assert any_store.file == (file if any_store.one_writer else None)
    assert any_store.revision == "0004"


def test_a_locked_database_is_unavailable_after_the_timeout(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="serve_app")
    store = GalleryStore(url, busy_timeout_s=0.15)
    build(store)
    known = info_of(store)
    calls: list[Callable[[], object]] = [
        lambda: store.create(
            "guests", IndexType.FLAT, Metric.IP, ["eve"], embeddings(1), with_labels=False
        ),
        lambda: store.add("staff", ["eve"], embeddings(1), with_labels=True),
        lambda: store.remove("staff", [0], with_labels=True),
        lambda: store.describe(["staff"]),
        lambda: store.changes(known),
        lambda: store.page(known, -1, 10),
        lambda: store.galleries("", 10),
        lambda: store.entry("staff"),
        lambda: store.take_lease("build", "eve", 1),
        lambda: store.prune(0, 0),
    ]
    with locked(file):
        for call in calls:
            start = time.monotonic()
            with pytest.raises(UnavailableError, match="try again shortly") as caught:
                call()
            assert 0.15 <= time.monotonic() - start < 5
            assert caught.value.__suppress_context__  # it holds labels and embeddings
    assert "OperationalError" in caplog.text
    for secret in ("eve", str(file.parent), "INSERT"):
        assert secret not in caplog.text
    assert (info_of(store), labels_of(store)) == (known, {0: "0", 1: "1", 2: "2"})
    assert store.add("staff", ["eve"], embeddings(1), with_labels=False).ids == [3]
    store.close()


def test_a_writer_in_the_way_is_waited_for(url: str, file: Path) -> None:
    store = GalleryStore(url, busy_timeout_s=0.1)
    build(store)
    with raw(file) as other:
        other.execute("BEGIN IMMEDIATE")
        assert info_of(store).seq == 1  # readers pass
        with pytest.raises(UnavailableError):
            store.add("staff", ["eve"], embeddings(1), with_labels=False)
    store.close()


def test_an_exhausted_pool_is_unavailable(url: str) -> None:
    store = GalleryStore(url, busy_timeout_s=0.1)
    taken = [store._engine.connect() for _ in range(16)]
    with pytest.raises(UnavailableError):
        store.describe(["staff"])
    for connection in taken:
        connection.close()
    assert store.describe(["staff"]) == {}
    store.close()


def test_the_galleries_model_is_its_own(any_store: GalleryStore) -> None:
    build(any_store)
    other = Embeddings("arcface-9", vectors(1, dimension=4))
    any_store.create("guests", "Flat", Metric.L2, ["x"], other, with_labels=False)
    found = any_store.describe(["staff", "guests"])
    assert {key: (info.model_id, info.dimension) for key, info in found.items()} == {
        "staff": (MODEL, 8),
        "guests": ("arcface-9", 4),
    }
