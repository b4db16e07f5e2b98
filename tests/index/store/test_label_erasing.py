"""One gallery, one job: what goes, what stays, and what the audit log says of it."""

from __future__ import annotations

import pytest

from serve_app.errors import GalleryNotFoundError
from serve_app.held import Erased, Where
from serve_app.index.cache import GalleryCache
from serve_app.index.store import GalleryStore, label_erasing
from serve_app.index.store.job_store import JobStore
from serve_app.types import Caller, JobMode
from tests.index.audits import actions, audited
from tests.index.samples import build, info_of, labels_of
from tests.index.spread import ANN, page, spread
from tests.index.staged_rows import HOLDER, begun, row, settled
from tests.index.watched import people

PLAIN_AND_SEALED = True

BY = Caller(actor="k1")


def in_gallery(store: GalleryStore, key: str) -> list[Erased]:
    return store.transactions.write(
        lambda connection: label_erasing.erase_in_gallery(connection, key, ANN, BY, "op")
    )


def in_job(store: GalleryStore, job_id: str) -> list[Erased]:
    return store.transactions.write(
        lambda connection: label_erasing.erase_in_job(connection, job_id, ANN, BY, "op")
    )


def test_a_gallery(any_store: GalleryStore) -> None:
    spread(any_store)
    before = info_of(any_store, "guests")
    assert in_gallery(any_store, "guests") == [Erased("guests", Where.SERVED, 2)]
    assert labels_of(any_store, "guests") == {0: "0", 2: "bob"}
    after = info_of(any_store, "guests")
    assert (after.seq, after.size) == (before.seq + 1, 2)
    row = audited(any_store, "guests")[-1]
    assert (row.action, row.ids, row.count, row.seq) == ("erase_label", "1,3", 2, after.seq)
    assert (row.actor, row.operation, row.generation) == ("k1", "op", after.generation)
    assert ANN not in repr(row)
    assert in_gallery(any_store, "guests") == in_gallery(any_store, "nothing") == []
    assert audited(any_store, "guests")[-1] == row
    assert audited(any_store, "nothing") == []


def test_what_a_rollback_would_bring_back(any_store: GalleryStore) -> None:
    spread(any_store)
    assert in_gallery(any_store, "third") == [Erased("third", Where.PREVIOUS, 1)]
    with pytest.raises(GalleryNotFoundError):
        JobStore(any_store).previous("third")
    assert labels_of(any_store, "third") == {0: "bob"}
    assert actions(any_store, "third")[-1] == ("erase_label", "ok", "0", 1)
    assert in_gallery(any_store, "third") == []


def test_a_job_that_is_run(any_store: GalleryStore) -> None:
    """What comes later in its input is enrolled all the same."""
    spread(any_store)
    jobs = JobStore(any_store)
    assert in_job(any_store, "three") == [
        Erased("fourth", Where.STAGED, 1, "three"),
        Erased("fourth", Where.INPUT, 2, "three"),
    ]
    assert actions(any_store, "fourth") == [
        ("erase_label", "ok", "0", 1),
        ("erase_label_rows", "ok", "", 2),
    ]
    assert in_job(any_store, "three") == []
    assert [one.position for one in jobs.rows("three")] == [2]
    jobs.stage("three", HOLDER, settled([row(3, ANN), row(4, "cy")]))
    info = jobs.publish("three", HOLDER, "")
    assert info.size == 3
    assert labels_of(any_store, "fourth") == {1: "bob", 2: ANN, 3: "cy"}


@pytest.mark.parametrize("mode", [JobMode.APPEND, JobMode.REPLACE])
def test_a_job_publishes_what_is_left(any_store: GalleryStore, mode: JobMode) -> None:
    build(any_store, count=2)
    jobs = JobStore(any_store)
    begun(jobs, mode=mode)
    jobs.stage("job", HOLDER, settled([row(n, (ANN, "bob")[n % 2]) for n in range(6)]))
    in_job(any_store, "job")
    info = jobs.publish("job", HOLDER, "")
    old = {0: "0", 1: "1"} if mode is JobMode.APPEND else {}
    new = range(2, 5) if mode is JobMode.APPEND else (1, 3, 5)
    assert labels_of(any_store) == {**old, **dict.fromkeys(new, "bob")}
    assert info.size == len(old) + 3
    ids = "2-4" if mode is JobMode.APPEND else ""
    assert actions(any_store)[-1] == (f"job_{mode}", "ok", ids, 3)


def test_replicas_that_have_read_what_is_staged_are_told(any_store: GalleryStore) -> None:
    spread(any_store)
    jobs = JobStore(any_store)
    staged = jobs.staged(jobs.job("three"))
    in_job(any_store, "three")
    changes = any_store.changes(staged)
    assert changes is not None
    assert changes.removed == [0]
    jobs.publish("three", HOLDER, "")
    cache = GalleryCache(any_store)
    assert people(cache, "fourth") == {1: "bob"}
    cache.close()


def test_a_job_that_is_over_keeps_its_report(any_store: GalleryStore) -> None:
    spread(any_store)
    assert in_job(any_store, "one") == [Erased("third", Where.INPUT, 1, "one")]
    assert in_job(any_store, "one") == in_job(any_store, "nothing") == []
    assert page(any_store).rows[0].job == "three"
