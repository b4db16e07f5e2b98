"""From staged templates to a served gallery."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.config import ServiceArgs, snapshots_url
from serve_app.errors import GalleryExistsError, GalleryNotFoundError, JobLostError
from serve_app.index.loading import Loader
from serve_app.index.mutations import Drop
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs import publishing
from serve_app.jobs.publishing import Publisher
from serve_app.types import Job, JobState, Shard
from tests.index.samples import build

from .samples import ALL, HOLDER, JOB, begun, request, rows


def settled(jobs: JobStore, count: int, *, index_type: str = "Flat", **facts: Any) -> Job:
    begun(jobs, request(**facts), index_type=index_type)
    return jobs.stage(JOB, HOLDER, rows(0, count + 1, {count}))


class Publishing:
    """A publisher of the store's own service, and what it said."""

    def __init__(self, store: GalleryStore, data_dir: Path, **service: Any) -> None:
        self.service = ServiceArgs.model_validate({"data_dir": data_dir, **service})
        self.storage = SnapshotStorage(snapshots_url(self.service))
        self.said: list[str] = []
        self._store = store

    def publisher(self, still_wanted: Callable[[], None] = lambda: None) -> Publisher:
        return Publisher(
            self._store, self.storage, self.service, HOLDER, still_wanted, self.said.append
        )


def lost() -> None:
    raise JobLostError("the job was cancelled")


def test_a_small_gallery_is_switched_to(
    store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    given = Publishing(store, tmp_path)
    info = given.publisher().publish(settled(jobs, 5), frozenset())
    assert (info.key, info.size, info.snapshot) == ("staff", 5, None)
    assert store.entry("staff").info.generation == info.generation
    np.testing.assert_array_equal(store.page(info, -1, 10).vectors, ALL[:5])
    job = jobs.job(JOB)
    assert (job.state, job.message) == (JobState.DONE, "5 templates enrolled, 1 rows rejected")
    assert [line.rpartition(" in ")[0] or line.partition(" after ")[0] for line in given.said] == [
        "the replicas were ready",
        "published",
    ]


@pytest.mark.parametrize("shards", [1, 3])
def test_the_index_is_there_before_the_switch(
    shards: int, store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    given = Publishing(store, tmp_path, shards=shards, index={"exact_until": 90})
    seen: list[tuple[int, bool]] = []
    generation = settled(jobs, 90, index_type="HNSW32").generation

    def look() -> None:
        built = sum(len(store.snapshots(generation, Shard(n, shards))) for n in range(shards))
        seen.append((built, "staff" in store.describe(["staff"])))

    info = given.publisher(look).publish(jobs.job(JOB), frozenset())
    assert seen[-1] == (shards, False), "asked a last time before the switch"
    assert given.said[0].startswith("HNSW32 index built in ")
    for number in range(shards):
        shard = Shard(number, shards)
        (snapshot,) = store.snapshots(info.generation, shard)
        loaded = Loader(store, shard, given.storage).load(store.describe(["staff"], shard)["staff"])
        assert loaded.snapshot == snapshot.name
        assert loaded.index.index_type_in_use == "HNSW32"
        assert (loaded.index.sealed_rows, loaded.index.growing_rows) == (90 // shards, 0)
        nearest = loaded.index.search(ALL[number : number + 1], 1)
        assert nearest[0][0].label == f"person {number}"


def test_below_the_limit_no_index_is_built(
    store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    given = Publishing(store, tmp_path, index={"exact_until": 91})
    given.publisher().publish(settled(jobs, 90, index_type="HNSW32"), frozenset())
    assert store.every_snapshot() == []


@pytest.mark.parametrize("built", [90, 1000])
def test_a_job_that_is_lost_changes_nothing(
    built: int, store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    given = Publishing(store, tmp_path, index={"exact_until": built})
    with pytest.raises(JobLostError):
        given.publisher(lost).publish(settled(jobs, 90), frozenset())
    assert store.describe(["staff"]) == {}
    assert jobs.job(JOB).state is JobState.RUNNING
    assert store.every_snapshot() == []
    # And can be published by whoever goes on with it.
    given.publisher().publish(jobs.job(JOB), frozenset())
    assert store.entry("staff").info.size == 90


def test_replaced_and_back(store: GalleryStore, jobs: JobStore, tmp_path: Path) -> None:
    build(store, "staff", 3)
    before = store.entry("staff").info
    given = Publishing(store, tmp_path)
    info = given.publisher().publish(settled(jobs, 5, mode="replace"), frozenset())
    assert (info.size, info.generation != before.generation) == (5, True)
    jobs.rollback("staff", before.generation)
    assert store.entry("staff").info.generation == before.generation


def test_a_gallery_that_came_meanwhile_is_kept(
    store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    given = Publishing(store, tmp_path)
    job = settled(jobs, 5)
    build(store, "staff", 3)
    with pytest.raises(GalleryExistsError):
        given.publisher().publish(job, frozenset())
    assert store.entry("staff").info.size == 3


def test_a_gallery_that_went_meanwhile_is_not_appended_to(
    store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    build(store, "staff", 3)
    given = Publishing(store, tmp_path)
    job = settled(jobs, 5, mode="append")
    store.do(Drop("staff"))
    with pytest.raises(GalleryNotFoundError):
        given.publisher().publish(job, frozenset())


def test_appended(store: GalleryStore, jobs: JobStore, tmp_path: Path) -> None:
    build(store, "staff", 3)
    before = store.entry("staff").info
    given = Publishing(store, tmp_path)
    info = given.publisher().publish(settled(jobs, 5, mode="append"), frozenset())
    assert (info.generation, info.size) == (before.generation, 8)
    page = store.page(info, 2, 10)
    assert page.ids == [3, 4, 5, 6, 7]
    np.testing.assert_array_equal(page.vectors, ALL[:5])
    assert [line.partition(" in ")[0] for line in given.said] == ["published"]


@pytest.mark.parametrize("shards", [1, 2])
def test_a_grown_gallery_is_built_anew(
    shards: int, store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    """Nobody holds a job that is done: that is no reason to leave the index to the replicas."""
    build(store, "staff", 3)
    given = Publishing(store, tmp_path, shards=shards, index={"exact_until": 50})

    def still_wanted() -> None:
        if jobs.job(JOB).state.is_final:
            lost()

    job = settled(jobs, 97, mode="append")
    info = given.publisher(still_wanted).publish(job, frozenset())
    snapshots = [store.snapshots(info.generation, Shard(n, shards)) for n in range(shards)]
    assert [[row.size for row in rows] for rows in snapshots] == [[100 // shards]] * shards
    assert given.said[-1].startswith("Flat index built in ")
    for number in range(shards):  # its leases were given back
        assert store.take_lease(f"build/{info.generation}/{shards}-{number}", "another", 1)


def test_a_build_that_replicas_are_at_is_left_to_them(
    store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    build(store, "staff", 3)
    generation = store.entry("staff").info.generation
    assert store.take_lease(f"build/{generation}/1-0", "a replica", 60)
    given = Publishing(store, tmp_path, index={"exact_until": 50})
    given.publisher().publish(settled(jobs, 97, mode="append"), frozenset())
    assert store.every_snapshot() == []
    assert not store.take_lease(f"build/{generation}/1-0", "another", 1), "it is the replica's"


def test_a_build_that_fails_after_the_switch_is_left_to_the_replicas(
    store: GalleryStore,
    jobs: JobStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    build(store, "staff", 3)
    given = Publishing(
        store, tmp_path, index={"exact_until": 50}, snapshots={"url": str(tmp_path / "mine")}
    )
    (tmp_path / "mine").rmdir()
    (tmp_path / "mine").write_bytes(b"")
    info = given.publisher().publish(settled(jobs, 97, mode="append"), frozenset())
    assert info.size == 100
    assert "the index is left to the replicas" in caplog.text


def test_replicas_are_waited_for(
    store: GalleryStore, jobs: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that does not say that it is warm: for as long as they may take."""
    monkeypatch.setattr(publishing, "WARM_S", 0.7)
    assert store.take_lease("replica/1-0/slow", "slow", 60)
    given = Publishing(store, tmp_path)
    info = given.publisher().publish(settled(jobs, 5), frozenset())
    assert info.size == 5
    assert given.said[0].startswith("not every replica has loaded the gallery after ")
    assert float(given.said[0].split()[-2]) >= 0.7


def test_a_replica_that_is_warm_is_not_waited_for(
    store: GalleryStore, jobs: JobStore, tmp_path: Path
) -> None:
    assert store.take_lease("replica/1-0/quick", "quick", 60)
    job = settled(jobs, 5)

    def load() -> None:
        store.take_lease(f"warm/{job.generation}/quick", "quick", 60)

    timer = threading.Timer(0.3, load)
    timer.start()
    given = Publishing(store, tmp_path)
    given.publisher().publish(job, frozenset())
    timer.join()
    assert 0.2 < float(given.said[0].split()[-2]) < 20
