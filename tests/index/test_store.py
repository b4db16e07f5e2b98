"""One mutation is one transaction: ids, receipts, erasure, and what is told to caches."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    UnavailableError,
)
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Receipt

from .samples import MODEL, build, embeddings, locked, raw, vectors


def info(store: GalleryStore, key: str = "staff") -> GalleryInfo:
    return store.describe([key])[key]


def labels(store: GalleryStore, key: str = "staff") -> dict[int, str]:
    receipt = store.remove(key, [], with_labels=True)
    assert receipt.labels is not None
    return receipt.labels


def test_a_new_gallery(store: GalleryStore) -> None:
    receipt = store.create(
        "staff", IndexType.IVF, Metric.L2, ["ann", "bob"], embeddings(2), with_labels=True
    )
    assert receipt == Receipt([0, 1], 2, {0: "ann", 1: "bob"})
    made = info(store)
    assert len(bytes.fromhex(made.generation)) == 16
    assert made == GalleryInfo("staff", made.generation, 1, IndexType.IVF, Metric.L2, 8, MODEL)


def test_receipts_tell_what_was_done(store: GalleryStore) -> None:
    build(store, count=2)
    assert store.add("staff", ["ann"], embeddings(1), with_labels=True) == Receipt(
        [2], 3, {0: "0", 1: "1", 2: "ann"}
    )
    assert store.add("staff", ["bob", "cy"], embeddings(2), with_labels=False) == Receipt([3, 4], 5)
    assert store.remove("staff", [3, 0], with_labels=True) == Receipt(
        [0, 3], 3, {1: "1", 2: "ann", 4: "cy"}
    )
    assert store.remove("staff", [1], with_labels=False) == Receipt([1], 2)


def test_galleries_are_apart(store: GalleryStore) -> None:
    build(store, "staff", 3)
    build(store, "guests", 2)
    assert store.add("guests", ["eve"], embeddings(1), with_labels=False).ids == [2]
    store.remove("staff", [0, 2], with_labels=False)
    assert labels(store, "staff") == {1: "1"}
    assert labels(store, "guests") == {0: "0", 1: "1", 2: "eve"}
    assert info(store, "staff").generation != info(store, "guests").generation


def test_ids_are_never_reused(store: GalleryStore, url: str) -> None:
    build(store, count=3)
    store.remove("staff", [2], with_labels=False)
    assert store.add("staff", ["a"], embeddings(1), with_labels=False).ids == [3]
    store.remove("staff", [3], with_labels=False)
    store.close()
    reopened = GalleryStore(url)
    assert reopened.add("staff", ["b"], embeddings(1), with_labels=False).ids == [4]
    emptied = reopened.remove("staff", range(10), with_labels=True)
    assert emptied == Receipt([0, 1, 4], 0, {})
    assert reopened.add("staff", ["c"], embeddings(1), with_labels=True) == Receipt(
        [5], 1, {5: "c"}
    )
    reopened.close()


def test_seq_counts_mutations_and_the_generation_stays(store: GalleryStore) -> None:
    build(store)
    generation = info(store).generation
    mutations: list[tuple[Callable[[], Receipt], int]] = [
        (lambda: store.add("staff", ["a", "b"], embeddings(2), with_labels=False), 1),
        (lambda: store.remove("staff", [0, 1], with_labels=False), 1),
        (lambda: store.remove("staff", [0, 99, -1], with_labels=False), 0),
        (lambda: store.remove("staff", [], with_labels=False), 0),
        (lambda: store.add("staff", [], embeddings(0), with_labels=False), 0),
        (lambda: store.remove("staff", [0, 2], with_labels=False), 1),
    ]
    for mutate, change in mutations:
        before = info(store).seq
        mutate()
        assert info(store).seq == before + change
    assert info(store).generation == generation


def test_a_gallery_may_begin_empty(store: GalleryStore) -> None:
    receipt = store.create(
        "staff", IndexType.FLAT, Metric.IP, [], embeddings(0, dimension=5), with_labels=True
    )
    assert receipt == Receipt([], 0, {})
    assert info(store).dimension == 5
    first = store.add("staff", ["ann"], embeddings(1, dimension=5), with_labels=True)
    assert first == Receipt([0], 1, {0: "ann"})


@pytest.mark.parametrize(
    "ids",
    [[-1], [3], [2**63], [-(2**63)], [2**70], [1, 1, 1], [3, 1, -1, 2**63, 1], list(range(-5, 5))],
    ids=str,
)
def test_a_removal_ignores_what_is_not_there(store: GalleryStore, ids: list[int]) -> None:
    build(store)
    expected = sorted(set(ids) & {0, 1, 2})
    assert store.remove("staff", ids, with_labels=False) == Receipt(expected, 3 - len(expected))
    assert store.remove("staff", ids, with_labels=False) == Receipt([], 3 - len(expected))


def test_a_long_removal_is_one_mutation(store: GalleryStore) -> None:
    build(store, count=1600)
    before = info(store)
    gone = [number for number in range(1600) if number % 3]
    receipt = store.remove("staff", gone[::-1], with_labels=True)
    assert receipt.ids == gone
    assert receipt.count == 1600 - len(gone)
    assert receipt.labels == {number: str(number) for number in range(0, 1600, 3)}
    assert info(store).seq == before.seq + 1


def test_another_model_or_dimension_is_refused(store: GalleryStore) -> None:
    build(store)
    before = info(store), labels(store)
    with pytest.raises(GalleryMismatchError) as caught:
        store.add("staff", ["x"], Embeddings("arcface-9", vectors(1)), with_labels=False)
    assert MODEL in str(caught.value)
    assert "arcface-9" in str(caught.value)
    with pytest.raises(GalleryMismatchError) as caught:
        store.add("staff", ["x"], embeddings(1, dimension=512), with_labels=False)
    assert "8 dimensions" in str(caught.value)
    assert "512" in str(caught.value)
    assert (info(store), labels(store)) == before


def test_a_gallery_that_exists_is_left_alone(store: GalleryStore) -> None:
    build(store)
    before = info(store), labels(store)
    with pytest.raises(GalleryExistsError, match="gallery staff exists already"):
        store.create("staff", IndexType.IVF, Metric.L2, ["x"], embeddings(1), with_labels=False)
    assert (info(store), labels(store)) == before


def test_a_gallery_that_does_not_exist(store: GalleryStore) -> None:
    build(store)
    with pytest.raises(GalleryNotFoundError, match="gallery guests does not exist"):
        store.add("guests", ["x"], embeddings(1), with_labels=False)
    with pytest.raises(GalleryNotFoundError, match="gallery guests does not exist"):
        store.remove("guests", [0], with_labels=False)
    assert store.describe(["guests", "staff", "staff"]).keys() == {"staff"}
    assert store.describe([]) == {}
    assert store.changes(replace(info(store), key="guests")) is None


def test_all_or_nothing(store: GalleryStore, file: Path) -> None:
    build(store)
    before = info(store), labels(store)
    with pytest.raises(ValueError, match="2 labels for 3 embeddings"):
        store.add("staff", ["a", "b"], embeddings(3), with_labels=False)
    with pytest.raises(ValueError, match="1 labels for 0 embeddings"):
        store.create("guests", IndexType.FLAT, Metric.IP, ["a"], embeddings(0), with_labels=False)
    # The second of three rows fails: nothing of the first may stay.
    with raw(file) as connection:
        connection.execute(
            "CREATE TRIGGER stumble BEFORE INSERT ON template WHEN new.label = 'b'"
            " BEGIN SELECT RAISE(ABORT, 'stumbled'); END"
        )
    with pytest.raises(UnavailableError):
        store.add("staff", ["a", "b", "c"], embeddings(3), with_labels=False)
    with pytest.raises(UnavailableError):
        store.create(
            "guests", IndexType.FLAT, Metric.IP, ["a", "b"], embeddings(2), with_labels=False
        )
    assert (info(store), labels(store)) == before
    assert store.describe(["guests"]) == {}
    assert store.add("staff", ["a"], embeddings(1), with_labels=False).ids == [3]


@pytest.mark.parametrize(
    "label", ["", " ", "名前 🙂", "a\nb\t'\"%", "\0", "x" * 100_000], ids=ascii
)
def test_any_label_comes_back(store: GalleryStore, label: str) -> None:
    build(store, count=0)
    store.add("staff", [label], embeddings(1), with_labels=False)
    assert labels(store) == {0: label}
    assert store.page(info(store), -1, 10).labels == [label]


def test_changes_since(store: GalleryStore) -> None:
    enrolled = build(store, count=3)
    first = info(store)
    nothing = store.changes(first)
    assert nothing is not None
    assert (nothing.info, nothing.added.ids, nothing.removed) == (first, [], [])

    store.add("staff", ["a", "b"], embeddings(2, seed=7), with_labels=False)
    second = info(store)
    store.remove("staff", [0, 3], with_labels=False)
    since_first, since_second = store.changes(first), store.changes(second)
    assert since_first is not None
    assert since_first.info == info(store)
    assert (since_first.added.ids, since_first.added.labels) == ([4], ["b"])
    assert np.array_equal(since_first.added.vectors, vectors(2, seed=7)[1:])
    assert sorted(since_first.removed) == [0, 3]
    assert since_second is not None
    assert since_second.added.ids == []
    assert sorted(since_second.removed) == [0, 3]

    since_ever = store.changes(replace(first, seq=0))
    assert since_ever is not None
    assert since_ever.added.ids == [1, 2, 4]
    assert np.array_equal(since_ever.added.vectors[:2], enrolled.vectors[1:])


def test_changes_that_cannot_be_told(store: GalleryStore, file: Path) -> None:
    build(store)
    known = info(store)
    assert store.changes(replace(known, generation="0" * 32)) is None
    store.remove("staff", [0], with_labels=False)
    with raw(file) as connection:
        connection.execute("DELETE FROM template WHERE removed_seq IS NOT NULL")
        connection.execute("UPDATE gallery SET floor_seq = 2")
    assert store.changes(known) is None
    pruned = store.changes(info(store))
    assert pruned is not None
    assert pruned.removed == []


def test_pages(store: GalleryStore) -> None:
    enrolled = build(store, count=10)
    build(store, "guests", 4)
    store.remove("staff", [0, 4, 9], with_labels=False)
    staff = info(store)
    pages = []
    after = -1
    while (page := store.page(staff, after, 3)).ids:
        pages.append(page)
        after = page.ids[-1]
    assert [page.ids for page in pages] == [[1, 2, 3], [5, 6, 7], [8]]
    assert pages[1].labels == ["5", "6", "7"]
    assert np.array_equal(pages[1].vectors, enrolled.vectors[5:8])
    assert store.page(replace(staff, generation="0" * 32), -1, 3).ids == []


def test_a_locked_database_is_unavailable_after_the_timeout(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="serve_app")
    store = GalleryStore(url, busy_timeout_s=0.15)
    build(store)
    known = info(store)
    calls: list[Callable[[], object]] = [
        lambda: store.create(
            "guests", IndexType.FLAT, Metric.IP, ["eve"], embeddings(1), with_labels=False
        ),
        lambda: store.add("staff", ["eve"], embeddings(1), with_labels=True),
        lambda: store.remove("staff", [0], with_labels=True),
        lambda: store.describe(["staff"]),
        lambda: store.changes(known),
        lambda: store.page(known, -1, 10),
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
    assert (info(store), labels(store)) == (known, {0: "0", 1: "1", 2: "2"})
    assert store.add("staff", ["eve"], embeddings(1), with_labels=False).ids == [3]
    store.close()


def test_a_writer_in_the_way_is_waited_for(url: str, file: Path) -> None:
    store = GalleryStore(url, busy_timeout_s=0.1)
    build(store)
    with raw(file) as other:
        other.execute("BEGIN IMMEDIATE")
        assert info(store).seq == 1  # readers pass
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
