"""What is told to caches and to listings: changes, moments, shards, pages, on both databases."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from sqlalchemy import create_engine, text

from serve_app.index.mutations import Drop
from serve_app.index.records import Changes, SnapshotRow
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, Shard, TemplateEntry
from tests.index.samples import build, embeddings, info_of, vectors

PLAIN_AND_SEALED = True


def told(changes: Changes | None) -> Changes:
    assert changes is not None
    return changes


def add(store: GalleryStore, *labels: str, seed: int = 0) -> None:
    store.add("staff", labels, embeddings(len(labels), seed=seed), with_labels=False)


def test_changes_since(any_store: GalleryStore) -> None:
    store = any_store
    enrolled = build(store, count=3)
    first = info_of(store)
    nothing = told(store.changes(first))
    assert (nothing.info, nothing.added.ids, nothing.removed) == (first, [], [])

    add(store, "a", "b", seed=7)
    second = info_of(store)
    store.remove("staff", [0, 3], with_labels=False)
    since_first, since_second = told(store.changes(first)), told(store.changes(second))
    assert since_first.info == info_of(store)
    assert (since_first.added.ids, since_first.added.labels) == ([4], ["b"])
    assert np.array_equal(since_first.added.vectors, vectors(2, seed=7)[1:])
    assert sorted(since_first.removed) == [0, 3]
    assert since_second.added.ids == []
    assert sorted(since_second.removed) == [0, 3]

    since_ever = told(store.changes(replace(first, seq=0)))
    assert since_ever.added.ids == [1, 2, 4]
    assert np.array_equal(since_ever.added.vectors[:2], enrolled.vectors[1:])


def test_what_was_added_up_to_a_seq_may_be_known(any_store: GalleryStore) -> None:
    build(any_store)
    first = info_of(any_store)
    any_store.remove("staff", [0], with_labels=False)
    add(any_store, "a")
    add(any_store, "b")
    changes = told(any_store.changes(first, added_after=3))
    assert (changes.added.labels, changes.removed) == (["b"], [0])


def test_changes_up_to_a_moment(any_store: GalleryStore) -> None:
    build(any_store)  # seq 1, ids 0 to 2
    first = info_of(any_store)
    add(any_store, "a")  # seq 2, id 3
    any_store.remove("staff", [0], with_labels=False)  # seq 3
    add(any_store, "b", "c")  # seq 4, ids 4 and 5
    expected: dict[int, tuple[list[int], list[int]]] = {
        1: ([], []),
        2: ([3], []),
        3: ([3], [0]),
        4: ([3, 4, 5], [0]),
    }
    for seq, (added, removed) in expected.items():
        changes = told(any_store.changes(first, up_to=seq))
        assert (changes.info.seq, changes.added.ids, changes.removed) == (seq, added, removed)
    assert told(any_store.changes(first, up_to=99)).info.seq == 4


def test_an_erased_moment_is_passed_over(any_store: GalleryStore) -> None:
    """Who asks for it gets the newest: what was there then is nowhere any more."""
    build(any_store)
    first = info_of(any_store)
    add(any_store, "a", "b")  # seq 2
    add(any_store, "c")  # seq 3
    any_store.remove("staff", [3], with_labels=False)  # seq 4: erases what 2 and 3 had
    for seq in (2, 3):
        changes = told(any_store.changes(first, up_to=seq))
        assert (changes.info.seq, changes.added.ids, changes.removed) == (4, [4, 5], [3])
    # To someone who had template 3 already, the moment can still be told.
    known = replace(first, seq=2)
    changes = told(any_store.changes(known, up_to=3))
    assert (changes.info.seq, changes.added.ids, changes.removed) == (3, [5], [])
    # A template that came and went between two moments is in neither.
    assert told(any_store.changes(first, up_to=1)).added.ids == []


def test_changes_that_cannot_be_told(any_store: GalleryStore) -> None:
    build(any_store)
    known = info_of(any_store)
    assert any_store.changes(replace(known, generation="0" * 32)) is None
    # Its generation says which one it is: staged or replaced, a gallery has another key.
    assert told(any_store.changes(replace(known, key="guests"))).info.key == "guests"
    any_store.remove("staff", [0], with_labels=False)
    any_store.prune(3600, 0)
    assert any_store.changes(known) is None
    assert any_store.changes(known, up_to=2) is None
    assert told(any_store.changes(info_of(any_store))).removed == []
    any_store.do(Drop("staff"))
    assert any_store.changes(known) is None


def pages_of(store: GalleryStore, info: GalleryInfo, limit: int, shard: Shard) -> list[list[int]]:
    pages: list[list[int]] = []
    after = -1
    while (page := store.page(info, after, limit, shard)).ids:
        pages.append(page.ids)
        after = page.ids[-1]
    return pages


def test_pages(any_store: GalleryStore) -> None:
    enrolled = build(any_store, count=10)
    build(any_store, "guests", 4)
    any_store.remove("staff", [0, 4, 9], with_labels=False)
    staff = info_of(any_store)
    assert pages_of(any_store, staff, 3, Shard()) == [[1, 2, 3], [5, 6, 7], [8]]
    page = any_store.page(staff, 3, 3)
    assert page.labels == ["5", "6", "7"]
    assert page.vectors.dtype == np.float32
    assert np.array_equal(page.vectors, enrolled.vectors[5:8])
    nobody = any_store.page(replace(staff, generation="0" * 32), -1, 3)
    assert (nobody.ids, nobody.vectors.shape) == ([], (0, 8))


def test_shards_share_a_gallery(any_store: GalleryStore) -> None:
    enrolled = build(any_store, count=10)
    first = info_of(any_store)
    add(any_store, "a", "b", "c")
    any_store.remove("staff", [1, 2, 11], with_labels=False)
    info = info_of(any_store)
    assert pages_of(any_store, info, 2, Shard(0, 3)) == [[0, 3], [6, 9], [12]]
    assert pages_of(any_store, info, 9, Shard(1, 3)) == [[4, 7, 10]]
    assert pages_of(any_store, info, 9, Shard(2, 3)) == [[5, 8]]
    page = any_store.page(info, -1, 2, Shard(1, 3))
    assert np.array_equal(page.vectors, enrolled.vectors[[4, 7]])
    for number, (added, removed, live) in enumerate(
        [([12], [], 5), ([10], [1], 3), ([], [2, 11], 2)]
    ):
        shard = Shard(number, 3)
        changes = told(any_store.changes(first, shard))
        assert (changes.added.ids, sorted(changes.removed)) == (added, removed)
        assert any_store.live_count(info, shard) == live
    assert any_store.live_count(info) == info.size == 10


def test_many_keys_are_described(any_store: GalleryStore) -> None:
    for number in range(3):
        build(any_store, f"g{number}", number)
    asked = [f"g{number}" for number in range(1200)]
    found = any_store.describe(asked[::-1])
    assert {key: info.size for key, info in found.items()} == {"g0": 0, "g1": 1, "g2": 2}


def test_a_description_names_the_shards_newest_snapshot(any_store: GalleryStore) -> None:
    build(any_store)
    info = info_of(any_store)
    snapshots = [
        ("older", Shard(), 1, 5.0),
        ("newer", Shard(), 2, 1.0),
        ("again", Shard(), 2, 2.0),
        ("first of two", Shard(0, 2), 3, 1.0),
        ("second of two", Shard(1, 2), 4, 1.0),
    ]
    for name, shard, seq, made in snapshots:
        any_store.register(SnapshotRow(name, info.generation, shard, seq, 3, 3, made))
    expected: list[tuple[Shard, str | None]] = [
        (Shard(), "again"),
        (Shard(0, 2), "first of two"),
        (Shard(1, 2), "second of two"),
        (Shard(0, 3), None),
    ]
    for shard, newest in expected:
        assert any_store.describe(["staff"], shard)["staff"].snapshot == newest


def test_galleries_are_listed_by_key(any_store: GalleryStore) -> None:
    begun = time.time()
    for key in ("b", "a", "c", "aa"):
        build(any_store, key, 1)
    any_store.add("b", ["x"], embeddings(1), with_labels=False)
    listed = any_store.galleries("", 3)
    assert [entry.info.key for entry in listed] == ["a", "aa", "b"]
    assert [entry.info.size for entry in listed] == [1, 1, 2]
    assert [entry.info.key for entry in any_store.galleries("b", 3)] == ["c"]
    assert any_store.galleries("c", 3) == []
    changed = listed[2]
    assert begun <= changed.created_at < changed.changed_at <= time.time()
    entry = any_store.entry("b")
    assert (entry.info, entry.created_at) == (changed.info, changed.created_at)


def test_templates_are_listed(any_store: GalleryStore) -> None:
    build(any_store)
    add(any_store, "x", "1", "x", "x")
    any_store.remove("staff", [0, 5], with_labels=False)
    info = info_of(any_store)
    assert any_store.templates(info, None, -1, 3) == [
        TemplateEntry(1, "1"),
        TemplateEntry(2, "2"),
        TemplateEntry(3, "x"),
    ]
    assert [entry.id for entry in any_store.templates(info, None, 3, 9)] == [4, 6]
    assert [entry.id for entry in any_store.templates(info, "x", -1, 9)] == [3, 6]
    assert [entry.id for entry in any_store.templates(info, "x", 3, 9)] == [6]
    assert [entry.id for entry in any_store.templates(info, "1", -1, 1)] == [1]
    assert any_store.templates(info, "X", -1, 9) == []


def test_labels_of_one_digest_are_told_apart(database_url: str) -> None:
    store = GalleryStore(database_url)
    build(store)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE template SET label_digest ="
                " (SELECT label_digest FROM template WHERE label = '1')"
            )
        )
    engine.dispose()
    assert [entry.id for entry in store.templates(info_of(store), "1", -1, 9)] == [1]
    store.close()
