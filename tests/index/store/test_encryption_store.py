"""Rotation beside readers and writers, rewrapping, and that an erased tenant's data are unreadable
with the master key in hand; on both databases."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import (
    ConfigError,
    FaceServeError,
    GalleryNotFoundError,
    InvalidRequestError,
    UnavailableError,
)
from serve_app.index.mutations import RemoveLabel
from serve_app.index.staged import RowOutcome
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.index.store.job_store import JobStore
from tests.index.samples import build, embeddings, info_of, labels_of
from tests.index.staged_rows import HOLDER, begun, row, settled
from tests.index.vaults import MASTER, OTHER, new_vault

DIGEST = bytes(range(16))


def at_once(_: float) -> None:
    """Nobody reads meanwhile: no pause is needed."""


@pytest.fixture
def store(database_url: str) -> Iterator[GalleryStore]:
    store = GalleryStore(database_url, vault=new_vault())
    yield store
    store.close()


def keys(store: GalleryStore) -> EncryptionStore:
    return EncryptionStore(store, pause=at_once)


def rotated(store: GalleryStore, tenant: str = "") -> list[int]:
    keys(store).new_version(tenant)
    keys(store).reseal(tenant)
    return keys(store).retire(tenant)


def test_plain_rows_are_sealed_and_say_the_same(database_url: str) -> None:
    plain = GalleryStore(database_url)
    build(plain, count=5)
    info = info_of(plain)
    jobs = JobStore(plain)
    begun(jobs, key="new")
    rejected = row(1, outcome=RowOutcome.REJECTED, reason="no face", digest=DIGEST)
    jobs.stage("job", HOLDER, settled([row(0, digest=DIGEST), rejected]), keep_sources=True)
    told = list(jobs.rows("job"))
    staged = jobs.staged(jobs.job("job"))
    sources = jobs.sources(staged, -1, 9)
    plain.close()

    store = GalleryStore(database_url, vault=new_vault())
    assert keys(store).state("").rows == {None: 5 + 1 + 2 + 1}
    rotated(store)
    assert keys(store).state("").rows == {1: 9}
    assert info_of(store) == info
    assert labels_of(store) == {number: str(number) for number in range(5)}
    jobs = JobStore(store)
    assert list(jobs.rows("job")) == told
    assert jobs.sources(staged, -1, 9) == sources
    assert [each.source for each in jobs.rejections("job", -1, 9)] == ["/photos/1.jpg"]
    done = jobs.stage("job", HOLDER, settled([row(2, digest=DIGEST)]), skip_duplicates=True)
    assert done.duplicates == 2  # the image of row 0 is known by its new digest, too
    store.close()


def test_a_rotation_seals_everything_anew_and_deletes_the_old_key(store: GalleryStore) -> None:
    build(store, "acme/staff", count=5)
    build(store, "staff", count=2)
    before = labels_of(store, "acme/staff")
    assert rotated(store, "acme") == [1]
    assert rotated(store, "acme") == [2]
    state = keys(store).state("acme")
    assert (list(state.wrapped_by), state.rows) == ([3], {3: 5})
    assert labels_of(store, "acme/staff") == before
    assert keys(store).state("").rows == {1: 2}  # another tenant's stay


def test_a_rotation_that_was_broken_off_goes_on(store: GalleryStore) -> None:
    build(store, count=5)
    keys(store).new_version("")
    store.add("staff", ["late"], embeddings(1), with_labels=False)
    assert keys(store).state("").rows == {1: 5, 2: 1}
    assert keys(store).retire("") == []  # rows still need the first
    keys(store).reseal("")
    assert keys(store).retire("") == [1]
    assert len(labels_of(store)) == 6


def test_nobody_notices_a_rotation(database_url: str) -> None:
    """Writers add and remove by label, readers read all; three rotations meanwhile."""
    writer, reader, rotator = (GalleryStore(database_url, vault=new_vault()) for _ in range(3))
    build(writer, count=300)
    there = {str(number) for number in range(300)}
    over = threading.Event()
    failures: list[str] = []
    reads = 0

    def write() -> None:
        chance = random.Random(1)
        number = 300
        while not over.is_set():
            try:
                label = str(number)
                writer.add("staff", [label], embeddings(1), with_labels=False)
                there.add(label)
                gone = chance.choice(sorted(there))
                if len(writer.do(RemoveLabel("staff", gone)).ids) != 1:
                    failures.append(f"{gone} was not found")
                there.discard(gone)
            except FaceServeError as error:
                failures.append(f"writer: {error.code}")
            number += 1

    def read() -> None:
        nonlocal reads
        while not over.is_set():
            try:
                if len(labels_of(reader)) < 299:
                    failures.append("rows were missing")
                reads += 1
            except FaceServeError as error:
                failures.append(f"reader: {error.code}")

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    retired = []
    for _ in range(3):
        each = EncryptionStore(rotator, pause=lambda seconds: time.sleep(min(seconds, 0.5)))
        each.new_version("")
        each.reseal("")
        retired += each.retire("")
    over.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert reads > 0
    assert retired == [1, 2, 3]
    assert set(labels_of(reader).values()) == there
    assert keys(rotator).state("").rows == {4: len(there)}
    for store in (writer, reader, rotator):
        store.close()


def test_rewrapped_the_new_master_key_is_enough(database_url: str) -> None:
    store = GalleryStore(database_url, vault=new_vault(MASTER))
    build(store)
    store.close()
    both = GalleryStore(database_url, vault=new_vault(OTHER, MASTER))
    assert keys(both).rewrap() == 1
    assert keys(both).rewrap() == 0
    both.close()
    after = GalleryStore(database_url, vault=new_vault(OTHER))
    assert labels_of(after) == {0: "0", 1: "1", 2: "2"}
    after.close()
    with pytest.raises(ConfigError, match="is not among those"):
        GalleryStore(database_url, vault=new_vault(MASTER))


def test_without_keys_there_is_nothing_to_rotate(database_url: str) -> None:
    plain = GalleryStore(database_url)
    with pytest.raises(ConfigError, match="names no master key"):
        keys(plain).new_version("")
    plain.close()


def test_an_erased_tenants_rows_are_unreadable_with_the_master_key(store: GalleryStore) -> None:
    """The rows are still there, as in a copy of the database that was taken then."""
    build(store, "acme/staff")
    build(store, "else/staff")
    info = info_of(store, "acme/staff")
    assert keys(store).erase_keys("acme") == 1
    for ask in (
        lambda: store.page(info, -1, 9),
        lambda: store.templates(info, None, -1, 9),
        lambda: store.changes(info, added_after=0),
    ):
        with pytest.raises(UnavailableError, match="can't be read any more"):
            ask()
    assert store.templates(info, "1", -1, 9) == []  # no digest can be made, so none is told
    with pytest.raises(GalleryNotFoundError):  # hidden already
        store.add("acme/staff", ["x"], embeddings(1), with_labels=False)
    with pytest.raises(InvalidRequestError, match="acme was erased"):
        build(store, "acme/staff")
    assert labels_of(store, "else/staff") == {0: "0", 1: "1", 2: "2"}

    assert keys(store).drop_all("acme") == (1, [])
    assert store.describe(["acme/staff"]) == {}


def test_nothing_of_an_erased_key_is_left_in_the_file(tmp_path: Path, journal: str) -> None:
    file = tmp_path / "galleries.sqlite"
    store = GalleryStore(f"sqlite:///{file}", vault=new_vault())
    build(store, "acme/staff")
    (key,) = keys(store).wrapped_keys()
    assert any(key.wrapped in each.read_bytes() for each in tmp_path.iterdir())
    keys(store).erase_keys("acme")
    assert not any(key.wrapped in each.read_bytes() for each in tmp_path.iterdir())
    store.close()


def test_another_replica_forgets_an_erased_key_within_five_seconds(database_url: str) -> None:
    store, replica = (GalleryStore(database_url, vault=new_vault()) for _ in range(2))
    build(store, "acme/staff")
    info = info_of(replica, "acme/staff")
    replica.page(info, -1, 9)
    keys(store).erase_keys("acme")
    erased, read = time.monotonic(), 0
    while time.monotonic() - erased < 5:
        try:
            replica.page(info, -1, 9)
            read += 1
        except UnavailableError:
            break
        time.sleep(0.05)
    assert time.monotonic() - erased < 5
    with pytest.raises(UnavailableError):
        replica.page(info, -1, 9)
    for each in (store, replica):
        each.close()


def test_a_running_job_of_an_erased_tenant_is_gone(store: GalleryStore) -> None:
    jobs = JobStore(store)
    begun(jobs, "acme/job", "acme/new")
    jobs.stage("acme/job", HOLDER, settled([row(0)]))
    keys(store).erase_keys("acme")
    assert keys(store).drop_all("acme") == (1, [])
    assert jobs.jobs(9, "acme") == []
