"""One mutation is one transaction: ids, receipts, and what is refused, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, update

from serve_app.encryption import Vault
from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidRequestError,
    UnavailableError,
)
from serve_app.index.mutations import Drop, Optimize, RemoveLabel
from serve_app.index.records import SnapshotRow
from serve_app.index.store import GalleryStore
from serve_app.index.store.damage import check_of_gallery
from serve_app.index.store.schema import gallery
from serve_app.types import Embeddings, GalleryInfo, IndexType, Metric, Receipt, Shard
from tests.index.samples import MODEL, build, embeddings, info_of, labels_of, raw, vectors

PLAIN_AND_SEALED = True


def add(store: GalleryStore, *labels: str, key: str = "staff") -> Receipt:
    return store.add(key, labels, embeddings(len(labels)), with_labels=False)


def told(ids: list[int], count: int, labels: dict[int, str] | None = None) -> Receipt:
    return Receipt(ids, count, labels, "staff")


def test_a_new_gallery(any_store: GalleryStore) -> None:
    receipt = any_store.create(
        "staff", IndexType.IVF, Metric.L2, ["ann", "bob"], embeddings(2), with_labels=True
    )
    assert receipt == told([0, 1], 2, {0: "ann", 1: "bob"})
    made = info_of(any_store)
    assert len(bytes.fromhex(made.generation)) == 16
    assert made == GalleryInfo(
        "staff", made.generation, 1, IndexType.IVF, Metric.L2, 8, MODEL, size=2, next_id=2
    )


def test_any_index_type_is_kept_as_it_is(any_store: GalleryStore) -> None:
    any_store.create("staff", "OPQ4,IVF8,PQ4", Metric.IP, [], embeddings(0), with_labels=False)
    assert info_of(any_store).index_type == "OPQ4,IVF8,PQ4"


def test_receipts_tell_what_was_done(any_store: GalleryStore) -> None:
    build(any_store, count=2)
    added = any_store.add("staff", ["ann"], embeddings(1), with_labels=True)
    assert added == told([2], 3, {0: "0", 1: "1", 2: "ann"})
    assert add(any_store, "bob", "cy") == told([3, 4], 5)
    removed = any_store.remove("staff", [3, 0], with_labels=True)
    assert removed == told([0, 3], 3, {1: "1", 2: "ann", 4: "cy"})
    assert any_store.remove("staff", [1], with_labels=False) == told([1], 2)


def test_galleries_are_apart(any_store: GalleryStore) -> None:
    build(any_store, "staff", 3)
    build(any_store, "guests", 2)
    assert add(any_store, "eve", key="guests").ids == [2]
    any_store.remove("staff", [0, 2], with_labels=False)
    assert any_store.do(RemoveLabel("guests", "1")).ids == [1]
    assert labels_of(any_store, "staff") == {1: "1"}
    assert labels_of(any_store, "guests") == {0: "0", 2: "eve"}
    assert info_of(any_store, "staff").generation != info_of(any_store, "guests").generation


def test_ids_are_never_reused(database_url: str, vault: Vault | None) -> None:
    store = GalleryStore(database_url, vault=vault)
    build(store, count=3)
    store.remove("staff", [2], with_labels=False)
    assert add(store, "a").ids == [3]
    store.remove("staff", [3], with_labels=False)
    store.prune(0, 0)
    store.close()
    reopened = GalleryStore(database_url, vault=vault)
    assert add(reopened, "b").ids == [4]
    emptied = reopened.remove("staff", range(10), with_labels=True)
    assert emptied == told([0, 1, 4], 0, {})
    reopened.prune(0, 0)
    assert add(reopened, "c").ids == [5]
    assert labels_of(reopened) == {5: "c"}
    reopened.close()


def test_seq_counts_mutations_and_the_generation_stays(any_store: GalleryStore) -> None:
    store = any_store
    build(store)
    generation = info_of(store).generation
    mutations: list[tuple[Callable[[], Receipt], int]] = [
        (lambda: add(store, "a", "b"), 1),
        (lambda: store.remove("staff", [0, 1], with_labels=False), 1),
        (lambda: store.remove("staff", [0, 99, -1], with_labels=False), 0),
        (lambda: store.remove("staff", [], with_labels=False), 0),
        (lambda: add(store), 0),
        (lambda: store.do(Optimize("staff")), 0),
        (lambda: store.do(RemoveLabel("staff", "nobody")), 0),
        (lambda: store.do(RemoveLabel("staff", "a")), 1),
        (lambda: store.remove("staff", [0, 2], with_labels=False), 1),
    ]
    for mutate, change in mutations:
        before = info_of(store)
        receipt = mutate()
        after = info_of(store)
        assert after.seq == before.seq + change
        assert after.size == receipt.count == len(labels_of(store))
        assert after.generation == generation


def test_a_gallery_may_begin_empty(any_store: GalleryStore) -> None:
    receipt = any_store.create(
        "staff", IndexType.FLAT, Metric.IP, [], embeddings(0, dimension=5), with_labels=True
    )
    assert receipt == told([], 0, {})
    assert info_of(any_store).dimension == 5
    first = any_store.add("staff", ["ann"], embeddings(1, dimension=5), with_labels=True)
    assert first == told([0], 1, {0: "ann"})


@pytest.mark.parametrize(
    "ids",
    [[-1], [3], [2**63], [-(2**63)], [2**70], [1, 1, 1], [3, 1, -1, 2**63, 1], list(range(-5, 5))],
    ids=str,
)
def test_a_removal_ignores_what_is_not_there(store: GalleryStore, ids: list[int]) -> None:
    build(store)
    expected = sorted(set(ids) & {0, 1, 2})
    assert store.remove("staff", ids, with_labels=False) == told(expected, 3 - len(expected))
    assert store.remove("staff", ids, with_labels=False) == told([], 3 - len(expected))


def test_a_long_removal_is_one_mutation(any_store: GalleryStore) -> None:
    build(any_store, count=1600)
    before = info_of(any_store)
    gone = [number for number in range(1600) if number % 3]
    receipt = any_store.remove("staff", gone[::-1], with_labels=True)
    assert receipt.ids == gone
    assert receipt.count == 1600 - len(gone)
    assert receipt.labels == {number: str(number) for number in range(0, 1600, 3)}
    assert info_of(any_store).seq == before.seq + 1


def test_a_label_is_removed_wherever_it_is(any_store: GalleryStore) -> None:
    build(any_store)
    long = "x" * 5000  # more than PostgreSQL's indexes take
    add(any_store, "ann", long, "Ann", "ann", long + "y")
    assert any_store.do(RemoveLabel("staff", "ann")) == told([3, 6], 6)
    assert any_store.do(RemoveLabel("staff", "ann")) == told([], 6)
    assert any_store.do(RemoveLabel("staff", long)) == told([4], 5)
    assert labels_of(any_store) == {0: "0", 1: "1", 2: "2", 5: "Ann", 7: long + "y"}


def test_many_templates_of_a_label(any_store: GalleryStore) -> None:
    build(any_store, count=1)
    add(any_store, *["crowd"] * 1200)
    before = info_of(any_store)
    assert any_store.do(RemoveLabel("staff", "crowd")).ids == list(range(1, 1201))
    after = info_of(any_store)
    assert (after.seq, after.size, after.next_id) == (before.seq + 1, 1, 1201)


def test_a_dropped_gallery_is_gone_with_all_that_it_had(any_store: GalleryStore) -> None:
    build(any_store)
    old = info_of(any_store)
    any_store.register(SnapshotRow("a", old.generation, Shard(), old.seq, 3, 3, 1.0))
    assert any_store.do(Drop("staff")) == told([], 3)
    assert any_store.describe(["staff"]) == {}
    assert any_store.page(old, -1, 10).ids == []
    assert any_store.changes(old) is None
    assert any_store.every_snapshot() == []
    with pytest.raises(GalleryNotFoundError):
        any_store.do(Drop("staff"))
    build(any_store, count=1)
    new = info_of(any_store)
    assert (new.seq, new.next_id) == (1, 1)
    assert new.generation != old.generation
    assert any_store.changes(old) is None


def test_another_model_or_dimension_is_refused(any_store: GalleryStore) -> None:
    build(any_store)
    before = info_of(any_store), labels_of(any_store)
    with pytest.raises(GalleryMismatchError) as caught:
        any_store.add("staff", ["x"], Embeddings("arcface-9", vectors(1)), with_labels=False)
    assert MODEL in str(caught.value)
    assert "arcface-9" in str(caught.value)
    with pytest.raises(GalleryMismatchError) as caught:
        any_store.add("staff", ["x"], embeddings(1, dimension=512), with_labels=False)
    assert "8 dimensions" in str(caught.value)
    assert "512" in str(caught.value)
    assert (info_of(any_store), labels_of(any_store)) == before


def test_a_gallery_that_exists_is_left_alone(any_store: GalleryStore) -> None:
    build(any_store)
    before = info_of(any_store), labels_of(any_store)
    with pytest.raises(GalleryExistsError, match="gallery staff exists already"):
        any_store.create("staff", IndexType.IVF, Metric.L2, ["x"], embeddings(1), with_labels=False)
    assert (info_of(any_store), labels_of(any_store)) == before


def test_a_gallery_that_does_not_exist(any_store: GalleryStore) -> None:
    build(any_store)
    calls: list[Callable[[], object]] = [
        lambda: add(any_store, "x", key="guests"),
        lambda: any_store.remove("guests", [0], with_labels=False),
        lambda: any_store.do(RemoveLabel("guests", "x")),
        lambda: any_store.do(Optimize("guests")),
        lambda: any_store.do(Drop("guests")),
        lambda: any_store.entry("guests"),
    ]
    for call in calls:
        with pytest.raises(GalleryNotFoundError, match="gallery guests does not exist"):
            call()
    assert any_store.describe(["guests", "staff", "staff"]).keys() == {"staff"}
    assert any_store.describe([]) == {}


def test_labels_that_are_too_few_change_nothing(any_store: GalleryStore) -> None:
    build(any_store)
    before = info_of(any_store), labels_of(any_store)
    with pytest.raises(ValueError, match="2 labels for 3 embeddings"):
        any_store.add("staff", ["a", "b"], embeddings(3), with_labels=False)
    with pytest.raises(ValueError, match="1 labels for 0 embeddings"):
        any_store.create(
            "guests", IndexType.FLAT, Metric.IP, ["a"], embeddings(0), with_labels=False
        )
    assert (info_of(any_store), labels_of(any_store)) == before
    assert any_store.describe(["guests"]) == {}


def test_all_or_nothing(store: GalleryStore, file: Path) -> None:
    """The second of three rows fails: nothing of the first may stay."""
    build(store)
    before = info_of(store), labels_of(store)
    with raw(file) as connection:
        connection.execute(
            "CREATE TRIGGER stumble BEFORE INSERT ON template WHEN new.label = 'b'"
            " BEGIN SELECT RAISE(ABORT, 'stumbled'); END"
        )
    with pytest.raises(UnavailableError):
        add(store, "a", "b", "c")
    with pytest.raises(UnavailableError):
        store.create(
            "guests", IndexType.FLAT, Metric.IP, ["a", "b"], embeddings(2), with_labels=False
        )
    assert (info_of(store), labels_of(store)) == before
    assert store.describe(["guests"]) == {}
    assert add(store, "a").ids == [3]


def test_any_label_comes_back(any_store: GalleryStore) -> None:
    build(any_store, count=0)
    labels = ["", " ", "名前 🙂", "a\nb\t'\"%", "x" * 100_000]
    add(any_store, *labels)
    assert labels_of(any_store) == dict(enumerate(labels))
    for number, label in enumerate(labels):
        (entry,) = any_store.templates(info_of(any_store), label, -1, 9)
        assert (entry.id, entry.label) == (number, label)


def test_a_label_with_nul_is_kept_or_refused_alone(any_store: GalleryStore, sealed: bool) -> None:
    """PostgreSQL's texts have no NUL, what is sealed is no text; the API takes none either."""
    build(any_store, count=0)
    if any_store.one_writer or sealed:
        add(any_store, "\0")
        assert labels_of(any_store) == {0: "\0"}
    else:
        with pytest.raises(InvalidRequestError):
            add(any_store, "\0")
        assert labels_of(any_store) == {}


def test_an_id_that_is_there_already_is_damage(database_url: str, vault: Vault | None) -> None:
    """The gallery's row was changed behind our back: ids must not be given twice."""
    store = GalleryStore(database_url, vault=vault)
    build(store)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        row = connection.execute(select(gallery)).one()
        crc = check_of_gallery({**row._mapping, "next_id": 1})
        connection.execute(update(gallery).values(next_id=1, crc=crc))
    engine.dispose()
    with pytest.raises(UnavailableError, match="damaged"):
        add(store, "x")
    assert labels_of(store) == {0: "0", 1: "1", 2: "2"}
    store.close()
