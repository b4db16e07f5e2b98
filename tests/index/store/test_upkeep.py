"""Snapshots, leases and pruning, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from serve_app.index.mutations import Drop, Optimize
from serve_app.index.records import SnapshotRow, Standing
from serve_app.index.store import GalleryStore, upkeep
from serve_app.index.store.job_store import JobStore
from serve_app.types import JobState, Operation, Shard
from tests.index import staged_rows
from tests.index.samples import build, embeddings, info_of, labels_of
from tests.index.staged_rows import HOLDER, begun, published, settled


def snapshot(
    store: GalleryStore, name: str, seq: int, shard: Shard | None = None, *, key: str = "staff"
) -> SnapshotRow:
    generation = info_of(store, key).generation
    return SnapshotRow(name, generation, shard or Shard(), seq, 3, 2, float(seq))


def standing(store: GalleryStore, shard: Shard | None = None) -> Standing:
    (found,) = store.standings(shard or Shard(), 0)
    return found


def count(url: str, table: str, where: str = "1 = 1") -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}"))
        number = int(found.scalar_one())
    engine.dispose()
    return number


def test_snapshots_are_told_newest_first(any_store: GalleryStore) -> None:
    build(any_store)
    build(any_store, "guests")
    old, new = snapshot(any_store, "old", 1), snapshot(any_store, "new", 2)
    other = snapshot(any_store, "other", 9, key="guests")
    sharded = snapshot(any_store, "sharded", 3, Shard(1, 2))
    for row in (new, old, other, sharded):
        assert any_store.register(row)
    assert any_store.snapshots(old.generation, Shard()) == [new, old]
    assert any_store.snapshots(None, Shard()) == [other, new, old]
    assert any_store.snapshots(old.generation, Shard(1, 2)) == [sharded]
    assert any_store.snapshots(old.generation, Shard(0, 2)) == []
    assert sorted(row.name for row in any_store.every_snapshot()) == [
        "new",
        "old",
        "other",
        "sharded",
    ]
    any_store.forget("new")
    any_store.forget("new")
    assert any_store.snapshots(old.generation, Shard()) == [old]


def test_a_snapshot_of_a_gallery_that_is_gone_is_not_registered(any_store: GalleryStore) -> None:
    build(any_store)
    row = snapshot(any_store, "late", 1)
    any_store.do(Drop("staff"))
    assert not any_store.register(row)
    build(any_store)  # another generation
    assert not any_store.register(row)
    assert any_store.every_snapshot() == []


def test_a_snapshot_that_is_registered_again_is_there(any_store: GalleryStore) -> None:
    """As a commit whose answer was lost is sent again."""
    build(any_store)
    row = snapshot(any_store, "one", 1)
    assert any_store.register(row)
    assert any_store.register(row)
    assert any_store.every_snapshot() == [row]


def test_standings(any_store: GalleryStore) -> None:
    build(any_store, "small", 2)
    build(any_store, "large", 5)
    build(any_store, "wished", 1)
    build(any_store, "kept", 1)
    any_store.do(Optimize("wished"))
    row = snapshot(any_store, "of another shard", 1, Shard(1, 2), key="kept")
    any_store.register(row)
    found = {each.info.key: each for each in any_store.standings(Shard(), 5)}
    assert found.keys() == {"large", "wished", "kept"}
    assert found["large"] == Standing(info_of(any_store, "large"), None, 0, 0, 0.0)
    assert found["wished"].wanted_seq == 1
    assert found["kept"].snapshot is None
    sharded = {each.info.key: each for each in any_store.standings(Shard(1, 2), 5)}
    assert sharded["kept"].snapshot == row


def test_the_standing_has_the_newest_snapshot(any_store: GalleryStore) -> None:
    build(any_store)
    for name, seq in (("a", 1), ("c", 3), ("b", 2)):
        any_store.register(snapshot(any_store, name, seq))
    newest = standing(any_store).snapshot
    assert newest is not None
    assert newest.name == "c"


def test_the_oldest_removal_waits_for_a_snapshot_without_it(any_store: GalleryStore) -> None:
    build(any_store, count=5)
    begun = time.time()
    any_store.remove("staff", [0], with_labels=False)  # seq 2
    first = standing(any_store)
    assert first.removed_seq == 2
    assert begun <= first.removed_at <= time.time()
    any_store.remove("staff", [1], with_labels=False)  # seq 3
    second = standing(any_store)
    assert (second.removed_seq, second.removed_at) == (3, first.removed_at)
    any_store.register(snapshot(any_store, "too old", 2))
    assert standing(any_store).removed_at == first.removed_at
    any_store.register(snapshot(any_store, "a shard's", 3, Shard(0, 2)))
    assert standing(any_store).removed_at == first.removed_at
    any_store.register(snapshot(any_store, "clean", 3))
    assert standing(any_store).removed_at == 0
    any_store.remove("staff", [2], with_labels=False)
    assert standing(any_store).removed_at > first.removed_at


def test_a_lease_has_one_holder(any_store: GalleryStore) -> None:
    assert any_store.take_lease("build", "ann", 60)
    assert any_store.take_lease("build", "ann", 60)
    assert not any_store.take_lease("build", "bob", 60)
    assert any_store.take_lease("other", "bob", 60)
    any_store.give_back_lease("build", "bob")  # it isn't his
    assert not any_store.take_lease("build", "bob", 60)
    any_store.give_back_lease("build", "ann")
    assert any_store.take_lease("build", "bob", 60)


def test_a_lease_runs_out(any_store: GalleryStore) -> None:
    assert any_store.take_lease("build", "ann", 0.2)
    assert not any_store.take_lease("build", "bob", 60)
    time.sleep(0.25)
    assert any_store.take_lease("build", "bob", 60)
    assert not any_store.take_lease("build", "ann", 60)


@pytest.mark.parametrize("expired", [False, True])
def test_one_of_many_takes_a_lease(database_url: str, expired: bool) -> None:
    stores = [GalleryStore(database_url) for _ in range(2)]
    for number in range(5):
        if expired:
            assert stores[0].take_lease(str(number), "gone", -1)
        with ThreadPoolExecutor(6) as pool:
            taken = list(
                pool.map(
                    lambda i, number=number: stores[i % 2].take_lease(str(number), str(i), 60),
                    range(6),
                )
            )
        assert sum(taken) == 1
    for store in stores:
        store.close()


def test_old_answers_are_pruned(any_store: GalleryStore, database_url: str) -> None:
    build(any_store)
    kept = Operation("kept")
    any_store.add("staff", ["x"], embeddings(1), with_labels=False, operation=kept)
    any_store.prune(3600, 1000)
    assert any_store.answered(kept) is not None
    any_store.prune(-1, 1000)
    assert any_store.answered(kept) is None
    assert count(database_url, "operation") == 0


def test_leases_that_ran_out_are_pruned(any_store: GalleryStore, database_url: str) -> None:
    any_store.take_lease("gone", "ann", -1)
    any_store.take_lease("held", "ann", 60)
    any_store.prune(3600, 1000)
    assert count(database_url, "lease") == 1
    assert not any_store.take_lease("held", "bob", 60)


def test_tombstones_are_pruned_where_they_are_many(
    any_store: GalleryStore, database_url: str
) -> None:
    """A replica that is behind them is told nothing then, and must load the gallery whole."""
    build(any_store, "staff", 10)
    build(any_store, "guests", 10)
    behind = info_of(any_store)
    any_store.remove("staff", [0, 1, 2], with_labels=False)
    any_store.remove("guests", [0, 1], with_labels=False)
    before = info_of(any_store)
    any_store.prune(3600, 3)
    assert count(database_url, "template", "removed_seq IS NOT NULL") == 5
    assert any_store.changes(behind) is not None
    any_store.prune(3600, 2)
    assert count(database_url, "template", "removed_seq IS NOT NULL") == 2
    assert any_store.changes(behind) is None
    assert any_store.changes(replace(behind, seq=2)) is not None
    guests = info_of(any_store, "guests")
    assert any_store.changes(replace(guests, seq=1)) is not None
    assert info_of(any_store) == before
    assert labels_of(any_store) == {number: str(number) for number in range(3, 10)}
    # Nothing has been removed since: who is up to date stays so.
    any_store.prune(3600, 0)
    assert any_store.changes(before) is not None


def test_ids_and_seq_go_on_after_pruning(any_store: GalleryStore) -> None:
    build(any_store)
    any_store.remove("staff", [0, 1, 2], with_labels=False)
    known = info_of(any_store)
    any_store.prune(0, 0)
    added = any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert (added.ids, added.count) == ([3], 1)
    changes = any_store.changes(known)
    assert changes is not None
    assert (changes.info.seq, changes.added.ids) == (3, [3])


def test_old_jobs_are_pruned(any_store: GalleryStore, database_url: str) -> None:
    """Those that are over are forgotten, those that nobody goes on with are given up."""
    jobs = JobStore(any_store)
    published(any_store, "done")
    published(any_store, "young", "young")
    for name in ("left", "going"):
        begun(jobs, name, name)
        jobs.stage(name, HOLDER, settled([staged_rows.row(0, digest=b"d"), staged_rows.row(1)]))
    long_ago = time.time() - upkeep.JOBS_KEPT_S - 60
    engine = create_engine(database_url)
    with engine.begin() as connection:
        aged = "UPDATE job SET changed_at = :then, held_until = :then WHERE id IN ('done', 'left')"
        connection.execute(text(aged), {"then": long_ago})
        recently = {"then": time.time() - upkeep.JOBS_KEPT_S + 600}
        aged = "UPDATE job SET changed_at = :then, held_until = 0 WHERE id IN ('young', 'going')"
        connection.execute(text(aged), recently)
    engine.dispose()
    any_store.prune(3600, 1000)
    found = {job.id: job.state for job in jobs.jobs(9)}
    assert found == {
        "young": JobState.DONE,
        "left": JobState.FAILED,
        "going": JobState.RUNNING,
    }
    assert [entry.info.key for entry in any_store.galleries("", 9)] == ["staff", "young"]
    assert count(database_url, "gallery") == 3
    assert count(database_url, "job_row") == 1
    assert jobs.take("going", "another", 60).done == 2
