"""Writing: append-only, whole under concurrency, all or nothing; jobs, copies and rollbacks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from serve_app.audit_rows import AuditQuery
from serve_app.errors import GalleryExistsError, GalleryMismatchError, QuotaError, UnavailableError
from serve_app.index.copies.directory import IndexDirectory
from serve_app.index.copies.parts import parts
from serve_app.index.copies.transfer import import_gallery
from serve_app.index.mutations import Add, Drop
from serve_app.index.records import Moment
from serve_app.index.store import GalleryStore, auditing
from serve_app.index.store.audit_store import AuditStore
from serve_app.index.store.auditing import Entry
from serve_app.index.store.job_store import JobStore
from serve_app.types import Caller, IndexType, JobMode, JobState, Metric, Operation
from tests.index.audits import actions, audited, tamper
from tests.index.samples import build, embeddings, info_of, vectors
from tests.index.staged_rows import HOLDER, begun, plain, published

THREADS, CHANGES = 8, 6


def test_the_table_takes_no_change(any_store: GalleryStore, database_url: str) -> None:
    build(any_store)
    before = audited(any_store)
    engine = create_engine(database_url)
    for statement in (
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit SET number = number + 1",
        "DELETE FROM audit",
    ):
        with (
            engine.begin() as connection,
            pytest.raises(DBAPIError, match="the audit log is append-only"),
        ):
            connection.execute(text(statement))
    engine.dispose()
    assert audited(any_store) == before


def test_threads_on_one_gallery(any_store: GalleryStore) -> None:
    build(any_store, count=0)
    conflict = [False] * THREADS

    def work(thread: int) -> None:
        for number in range(CHANGES):
            by = Caller(actor=f"{thread}-{number}")
            any_store.do(Add("staff", ["x"], embeddings(1), by=by))
        try:
            build(any_store)
        except GalleryExistsError:
            conflict[thread] = True

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert all(conflict)
    rows = audited(any_store)[1:]
    assert len(rows) == THREADS * (CHANGES + 1)
    added = [row for row in rows if row.action == "add"]
    assert [row.seq for row in added] == list(range(2, 2 + len(added)))
    assert [row.ids for row in added] == [str(number) for number in range(len(added))]
    assert len({row.actor for row in added}) == len(added)


def test_threads_on_several_galleries(any_store: GalleryStore) -> None:
    """All begin by making the same galleries, whose chains are not there yet; each changes all of
    them in a group, in an order of its own."""
    keys = ["a", "b", "c"]
    together = threading.Barrier(THREADS)

    def work(thread: int) -> int:
        together.wait()
        made = 0
        order = keys[thread % 3 :] + keys[: thread % 3]
        for key in order:
            try:
                build(any_store, key, 1)
                made += 1
            except GalleryExistsError:
                pass
        for _ in range(CHANGES):
            any_store.apply([Add(key, ["x"], embeddings(1)) for key in order])
        return made

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(work, range(THREADS))) == len(keys)
    for key in keys:
        rows = audited(any_store, key)
        assert [row.action for row in rows].count("add") == THREADS * CHANGES
        results = [row.result for row in rows if row.action == "build"]
        assert results.count("ok") == 1
        assert results.count("gallery_exists") == THREADS - 1


def test_no_half(any_store: GalleryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks off in the middle leaves neither the change nor its row."""
    build(any_store)
    before = info_of(any_store), audited(any_store)

    write = auditing.write

    def fail(*_: object) -> None:
        raise UnavailableError("broken off")

    def write_and_fail(connection: Connection, entries: Sequence[Entry]) -> None:
        write(connection, entries)
        raise UnavailableError("broken off")

    monkeypatch.setattr(auditing, "write", fail)
    with pytest.raises(UnavailableError):
        any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    monkeypatch.setattr(auditing, "write", write_and_fail)
    with pytest.raises(UnavailableError):
        any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    with pytest.raises(UnavailableError):
        any_store.do(Drop("staff"))
    monkeypatch.undo()
    assert (info_of(any_store), audited(any_store)) == before


def test_rows_beyond_the_head_stop_writers(any_store: GalleryStore, database_url: str) -> None:
    build(any_store)
    any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    engine = create_engine(database_url)
    tamper(engine, ["UPDATE audit_chain SET next = 1"])
    engine.dispose()
    with pytest.raises(UnavailableError, match="audit verify"):
        any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert info_of(any_store).size == 4


def test_a_damaged_chain_stops_no_other_gallery(any_store: GalleryStore, database_url: str) -> None:
    for key in ("staff", "guests", "third"):
        build(any_store, key)
    any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    engine = create_engine(database_url)
    tamper(engine, ["UPDATE audit_chain SET next = 1 WHERE chain = 'staff'"])
    engine.dispose()
    keys = ["guests", "staff", "third", "staff", "guests"]
    answers = any_store.apply([Add(key, ["x"], embeddings(1)) for key in keys])
    assert [isinstance(answer, UnavailableError) for answer in answers] == [
        key == "staff" for key in keys
    ]
    assert {key: info_of(any_store, key).size for key in keys} == {
        "guests": 5,
        "staff": 4,
        "third": 4,
    }
    rows = AuditStore(any_store).page(AuditQuery(chain="guests"))
    assert [row.action for row in rows] == ["build", "add", "add"]
    assert [one.chain for one in AuditStore(any_store).verify()[0]] == ["staff"]


def test_jobs(any_store: GalleryStore) -> None:
    jobs = JobStore(any_store)
    by = Caller(actor="k3", address="192.0.2.1")
    jobs.submit("one", "staff", JobMode.CREATE, "{}", "digest", by)
    published(any_store, "one")
    published(any_store, "two", mode=JobMode.APPEND)
    replaced = published(any_store, "three", mode=JobMode.REPLACE, count=2)
    jobs.rollback("staff", jobs.previous("staff").generation, by)
    jobs.rollback("staff", info_of(any_store).generation)  # is there already
    begun(jobs, "four", mode=JobMode.APPEND)
    jobs.stage("four", HOLDER, plain(0, 1))
    jobs.end("four", JobState.CANCELLED, "cancelled")
    assert actions(any_store) == [
        ("job_create", "ok", "", 3),
        ("job_append", "ok", "3-5", 3),
        ("job_replace", "ok", "", 2),
        ("rollback", "ok", "", 6),
    ]
    rows = audited(any_store)
    assert [row.actor for row in rows] == ["k3", "operator", "operator", "k3"]
    assert [row.operation for row in rows] == ["one", "two", "three", ""]
    assert rows[2].generation == replaced.generation
    assert rows[0].address == "192.0.2.1"


@pytest.mark.parametrize("mode", [JobMode.CREATE, JobMode.APPEND, JobMode.REPLACE])
def test_jobs_that_are_refused(any_store: GalleryStore, mode: JobMode) -> None:
    jobs = JobStore(any_store)
    if mode is not JobMode.CREATE:
        build(any_store)
    begun(jobs, "one", mode=mode)
    jobs.stage("one", HOLDER, plain(0, 1))
    moment = None
    if mode is JobMode.CREATE:
        build(any_store)
    elif mode is JobMode.APPEND:
        any_store.do(Drop("staff"))
        none = embeddings(0, dimension=5)
        any_store.create("staff", IndexType.FLAT, Metric.IP, [], none, with_labels=False)
    else:
        moment = Moment(info_of(any_store).generation, 1)
        any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    with pytest.raises((GalleryExistsError, GalleryMismatchError)) as caught:
        jobs.publish("one", HOLDER, "", in_place_of=moment)
    row = audited(any_store)[-1]
    assert (row.action, row.result, row.operation) == (f"job_{mode}", caught.value.code, "one")
    assert jobs.job("one").state is JobState.RUNNING


def test_what_a_quota_keeps_out(any_store: GalleryStore) -> None:
    build(any_store)
    by = Caller(actor="k1", max_faces=4)
    with pytest.raises(QuotaError):
        any_store.do(Add("staff", ["a", "b"], embeddings(2), by=by))
    jobs = JobStore(any_store)
    jobs.submit("one", "staff", JobMode.APPEND, "{}", "digest", by)
    begun(jobs, "one", mode=JobMode.APPEND)
    jobs.stage("one", HOLDER, plain(0, 2))
    with pytest.raises(QuotaError):
        jobs.publish("one", HOLDER, "")
    assert actions(any_store)[1:] == [
        ("add", "quota_exceeded", "", 0),
        ("job_append", "quota_exceeded", "", 0),
    ]


def test_a_store_that_is_told_not_to(database_url: str) -> None:
    store = GalleryStore(database_url, audited=False)
    build(store)
    store.do(Drop("staff"))
    assert audited(store) == []
    store.close()


def test_copies(any_store: GalleryStore) -> None:
    build(any_store)
    any_store.restore("copy", lambda: parts(any_store, "staff"))
    with pytest.raises(GalleryExistsError):
        any_store.restore("copy", lambda: parts(any_store, "staff"))
    any_store.restore("copy", lambda: parts(any_store, "staff"), replace=True)
    assert actions(any_store, "copy") == [
        ("restore", "ok", "", 3),
        ("restore", "gallery_exists", "", 0),
        ("restore", "ok", "", 3),
    ]
    content = IndexDirectory(
        index_type=IndexType.FLAT,
        metric=Metric.IP,
        ids=np.arange(2),
        labels=["a", "b"],
        vectors=vectors(2),
        next_id=2,
        model_id="m@1",
    )
    import_gallery(any_store, content, "imported", "m@1")
    assert actions(any_store, "imported") == [("import", "ok", "", 2)]


def test_what_is_asked_again_is_told_once(any_store: GalleryStore) -> None:
    """Also where the first answer was lost and both came at once."""
    build(any_store)
    add = Add("staff", ["x"], embeddings(1), operation=Operation("same"))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(any_store.do, [add] * THREADS))
    assert [action for action, *_ in actions(any_store)] == ["build", "add"]
    assert AuditStore(any_store).verify()[0] == []
