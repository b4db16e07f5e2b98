"""Named operations: done once and answered the same, however and wherever they are sent again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from serve_app.errors import FaceServeError, GalleryExistsError, OperationReusedError
from serve_app.index.mutations import Add, Create, Drop, Mutation, Optimize, Remove, RemoveLabel
from serve_app.index.store import GalleryStore
from serve_app.types import Metric, Operation, Receipt
from tests.index.samples import build, embeddings, info_of, labels_of, rows

ONE = Operation("one", "digest", "a note")


def add(store: GalleryStore, operation: Operation = ONE) -> Receipt:
    return store.add("staff", ["d"], embeddings(1), with_labels=True, operation=operation)


def test_nothing_was_done_before(any_store: GalleryStore) -> None:
    assert any_store.answered(ONE) is None
    assert any_store.answered(ONE, with_labels=True) is None


def test_with_and_without_labels(any_store: GalleryStore) -> None:
    build(any_store)
    receipt = add(any_store)
    assert any_store.answered(ONE, with_labels=True) == receipt
    assert any_store.answered(ONE) == Receipt([3], 4, None, "staff", "a note")
    assert add(any_store) == receipt
    assert info_of(any_store).seq == 2


def test_labels_are_those_of_then_that_are_left(any_store: GalleryStore) -> None:
    build(any_store)
    add(any_store)
    any_store.add("staff", ["later"], embeddings(1), with_labels=False)
    any_store.remove("staff", [0], with_labels=False)
    expected = Receipt([3], 4, {1: "1", 2: "2", 3: "d"}, "staff", "a note")
    assert any_store.answered(ONE, with_labels=True) == expected
    assert add(any_store) == expected


def test_another_digest_is_refused(any_store: GalleryStore) -> None:
    build(any_store)
    add(any_store)
    other = Operation("one", "other")
    for with_labels in (False, True):
        with pytest.raises(OperationReusedError):
            any_store.answered(other, with_labels=with_labels)
    with pytest.raises(OperationReusedError):
        add(any_store, other)
    assert labels_of(any_store) == {0: "0", 1: "1", 2: "2", 3: "d"}


SENT: dict[str, Callable[[], Mutation]] = {
    "create": lambda: Create("new", "Flat", Metric.IP, ["a", "b"], embeddings(2), operation=ONE),
    "add": lambda: Add("staff", ["d"] * 5, embeddings(5), operation=ONE),
    "add nothing": lambda: Add("staff", [], embeddings(0), operation=ONE),
    "remove": lambda: Remove("staff", [0, 2, 9], operation=ONE),
    "remove nothing": lambda: Remove("staff", [9], operation=ONE),
    "remove label": lambda: RemoveLabel("staff", "1", operation=ONE),
    "drop": lambda: Drop("staff", operation=ONE),
    "optimize": lambda: Optimize("staff", operation=ONE),
}


@pytest.mark.parametrize("sent", SENT)
def test_every_mutation_is_done_once(any_store: GalleryStore, sent: str) -> None:
    """Sent again after others changed the gallery: nothing happens, the answer is as it was."""
    build(any_store)
    mutation = SENT[sent]()
    first = any_store.do(mutation)
    assert any_store.do(mutation) == first
    build(any_store, "new" if sent == "drop" else "other", 1)
    if sent == "drop":
        build(any_store, "staff", 2)
    any_store.add("staff", ["late"], embeddings(1), with_labels=False)
    before = any_store.galleries("", 10)
    assert any_store.apply([mutation, mutation]) == [first, first]
    assert any_store.answered(ONE) == first
    assert any_store.galleries("", 10) == before


def test_a_removal_sent_again_does_not_remove_who_came_since(any_store: GalleryStore) -> None:
    build(any_store)
    mutation = RemoveLabel("staff", "1", operation=ONE)
    assert any_store.do(mutation).ids == [1]
    any_store.add("staff", ["1"], embeddings(1), with_labels=False)
    assert any_store.do(mutation).ids == [1]
    assert labels_of(any_store) == {0: "0", 2: "2", 3: "1"}


def test_a_failure_is_not_kept(any_store: GalleryStore) -> None:
    create = Create("staff", "Flat", Metric.IP, [], embeddings(0), operation=ONE)
    build(any_store)
    with pytest.raises(GalleryExistsError):
        any_store.do(create)
    assert any_store.answered(ONE) is None
    any_store.do(Drop("staff"))
    assert any_store.do(create).key == "staff"


def test_ids_of_any_shape_come_back(any_store: GalleryStore) -> None:
    build(any_store, count=30)
    for number, ids in enumerate([[], [4], [5, 6], [7, 8, 9, 10], [12, 14, 15], [0, 1, 2, 4, 20]]):
        operation = Operation(str(number))
        receipt = any_store.remove("staff", ids, with_labels=False, operation=operation)
        assert any_store.answered(operation) == receipt
        assert set(receipt.ids) <= set(ids)


def test_kept_answers_hold_no_labels(store: GalleryStore, file: Path) -> None:
    build(store)
    label = "somebody's name"
    create = Create("new", "Flat", Metric.IP, [label], embeddings(1), with_labels=True)
    for mutation in (
        create,
        Add("staff", [label], embeddings(1), with_labels=True),
        RemoveLabel("staff", label),
        Remove("new", [], with_labels=True),
    ):
        store.do(mutation)
    kept = rows(file, "SELECT * FROM operation")
    assert len(kept) == 5
    assert label not in str(kept)
    assert label.encode().hex() not in str(kept)


def at_once(count: int, work: Callable[[int], Receipt | FaceServeError]) -> list[object]:
    barrier = threading.Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return work(number)
        except FaceServeError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_the_same_at_once_is_done_once(database_url: str) -> None:
    """From threads of one store and of another, as two clusters are."""
    stores = [GalleryStore(database_url) for _ in range(2)]
    build(stores[0], count=0)
    for number in range(6):
        operation = Operation(f"add {number}", "digest")
        answers = at_once(4, lambda i, operation=operation: add(stores[i % 2], operation))  # type: ignore[misc]
        assert [getattr(answer, "ids", answer) for answer in answers] == [[number]] * 4
    assert labels_of(stores[0]) == dict.fromkeys(range(6), "d")
    assert info_of(stores[1]).seq == 7
    for store in stores:
        store.close()


def test_the_same_creation_at_once_is_done_once(database_url: str) -> None:
    stores = [GalleryStore(database_url) for _ in range(2)]
    for number in range(6):
        mutation = Create(
            f"g{number}", "Flat", Metric.IP, ["a"], embeddings(1), operation=Operation(str(number))
        )
        answers = at_once(4, lambda i, mutation=mutation: stores[i % 2].do(mutation))  # type: ignore[misc]
        assert answers == [Receipt([0], 1, None, f"g{number}")] * 4
    for store in stores:
        store.close()


def test_other_creations_at_once_are_refused(database_url: str) -> None:
    stores = [GalleryStore(database_url) for _ in range(2)]
    for number in range(4):

        def create(i: int, key: str = f"g{number}") -> Receipt:
            return stores[i % 2].create(
                key, "Flat", Metric.IP, [str(i)], embeddings(1), with_labels=True
            )

        answers = at_once(4, create)
        done = [answer for answer in answers if isinstance(answer, Receipt)]
        assert len(done) == 1
        assert sum(isinstance(answer, GalleryExistsError) for answer in answers) == 3
        assert labels_of(stores[0], f"g{number}") == done[0].labels
    for store in stores:
        store.close()


def test_a_key_used_at_once_for_two_galleries_leaves_its_neighbours_alone(
    database_url: str,
) -> None:
    """Only one of the two is done; what shares a transaction with the other is done all the same.

    On PostgreSQL the second waits in the middle of its transaction for the first to commit.
    """
    store = GalleryStore(database_url)
    for key in ("a", "b", "c"):
        build(store, key, 0)

    def batch(key: str) -> list[Mutation]:
        reused = Operation("reused", f"digest of {key}")
        return [
            Add("c", [f"before {key}"], embeddings(1)) if key == "b" else Optimize("a"),
            Add(key, ["x"], embeddings(1), operation=reused),
            Add(key, [f"after {key}"], embeddings(1)),
        ]

    held = threading.Event()
    if store.one_writer:
        first, second = store.apply(batch("a")), store.apply(batch("b"))
    else:
        engine = create_engine(database_url)
        with ThreadPoolExecutor(1) as pool, engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO operation VALUES"
                    " ('reused', 'digest of a', 'a', 'g', 1, '[]', 0, '', 0)"
                )
            )
            waiting = pool.submit(store.apply, batch("b"))
            held.wait(0.3)
            assert not waiting.done()
            connection.commit()
            second = waiting.result(timeout=10)
        engine.dispose()
        first = []
    assert all(isinstance(answer, Receipt) for answer in first)
    assert [type(answer) for answer in second] == [Receipt, OperationReusedError, Receipt]
    assert labels_of(store, "b") == {0: "after b"}
    assert labels_of(store, "c") == {0: "before b"}
    store.close()
