"""The host of the index stage, without Ray: group commit, lanes, what it answers as values."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from serve_app.audit_rows import AuditQuery
from serve_app.config import AuditConfig, IndexConfig, JobRequest, SnapshotConfig
from serve_app.deployments.calls import StageCall
from serve_app.deployments.index import Index
from serve_app.errors import (
    ConfigError,
    FaceServeError,
    GalleryExistsError,
    GalleryNotFoundError,
    InvalidRequestError,
    JobNotFoundError,
    OperationReusedError,
    UnavailableError,
)
from serve_app.held import Erased, Erasure, HeldPage, Where
from serve_app.index.mutations import Add, Create, Drop, Mutation, Remove, RemoveLabel
from serve_app.index.records import SearchRequest
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.types import (
    ANONYMOUS,
    Caller,
    Embeddings,
    Job,
    JobState,
    Metric,
    Operation,
    Receipt,
    SearchResult,
    Shard,
)
from tests.index.vaults import MASTER, SOURCE, VARIABLE, new_vault


def embeddings(count: int, seed: int = 0) -> Embeddings:
    rows = np.random.default_rng(seed).normal(size=(count, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Embeddings("model", rows.astype(np.float32))


class RecordedHosts:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.down = False

    def start(self, job_id: str) -> None:
        if self.down:
            raise UnavailableError("the cluster takes no jobs just now; try again")
        self.started.append(job_id)

    def end(self, job_id: str) -> None:
        self.ended.append(job_id)


@pytest.fixture(params=["sqlite", "postgresql"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    url = f"sqlite:///{tmp_path / 'galleries.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    GalleryStore(url, migrate=True).close()
    stage = Index(
        (url, str(tmp_path / "snapshots")),
        Shard(),
        IndexConfig(),
        SnapshotConfig(),
        RecordedHosts(),
    )
    yield stage
    stage.close()


async def change(index: Index, mutation: Mutation) -> Receipt:
    answer = await index.change(mutation)
    assert isinstance(answer, Receipt), answer
    return answer


def commits(index: Index) -> list[int]:
    """Grows by one with each commit from now on."""
    seen: list[int] = []
    event.listen(index._store._engine, "commit", lambda _: seen.append(1))
    return seen


async def test_small_changes_share_transactions(index: Index) -> None:
    await change(index, Create("staff", "Flat", Metric.IP, [], embeddings(0)))
    seen = commits(index)
    receipts = await asyncio.gather(
        *(change(index, Add("staff", [str(n)], embeddings(1, n))) for n in range(64))
    )
    assert sorted(receipt.ids[0] for receipt in receipts) == list(range(64))
    assert sorted(receipt.count for receipt in receipts) == list(range(1, 65))
    assert len(seen) < 10
    for number, receipt in enumerate(receipts):  # each has its own vector
        request = SearchRequest("staff", embeddings(1, number), 1)
        (answer,) = (await index.search(StageCall(("test", number), [request], [60]))).answers
        assert isinstance(answer, SearchResult)
        assert answer.candidates[0][0].template_id == receipt.ids[0]
        assert answer.candidates[0][0].label == str(number)


async def test_a_bad_change_fails_alone_in_a_shared_transaction(index: Index) -> None:
    await change(index, Create("staff", "Flat", Metric.IP, ["a"], embeddings(1)))
    answers = await asyncio.gather(
        index.change(Add("staff", ["b"], embeddings(1, 1))),
        index.change(Add("nobody", ["c"], embeddings(1, 2))),
        index.change(Create("staff", "Flat", Metric.IP, [], embeddings(0))),
        index.change(Add("staff", ["d"], embeddings(1, 3))),
    )
    kinds = [type(answer) for answer in answers]
    assert kinds == [Receipt, GalleryNotFoundError, GalleryExistsError, Receipt]


async def test_the_same_operation_at_once_is_done_once(index: Index) -> None:
    await change(index, Create("staff", "Flat", Metric.IP, [], embeddings(0)))
    operation = Operation("retry", "digest")
    receipts = await asyncio.gather(
        *(change(index, Add("staff", ["x"], embeddings(1), False, operation)) for _ in range(8))
    )
    assert {tuple(receipt.ids) for receipt in receipts} == {(0,)}
    other = Operation("retry", "another digest")
    assert isinstance(
        await index.change(Add("staff", ["y"], embeddings(1), False, other)), OperationReusedError
    )
    kept = await index.answer_to(operation, True)
    assert isinstance(kept, Receipt)
    assert kept.labels == {0: "x"}
    assert await index.answer_to(Operation("never"), False) is None


async def test_an_impossible_index_type_is_refused_before_anything(index: Index) -> None:
    for index_type in ("nonsense", "IDMap,Flat"):
        answer = await index.change(Create("odd", index_type, Metric.IP, ["a"], embeddings(1)))
        assert isinstance(answer, InvalidRequestError)
        assert index_type in str(answer)
    assert await index.galleries("", 10, None) == []


async def test_galleries_to_look_at(index: Index) -> None:
    for key in ("b", "a"):
        await change(index, Create(key, "Flat", Metric.L2, ["x", "y", "x"], embeddings(3)))
    listed = await index.galleries("", 10, None)
    assert not isinstance(listed, FaceServeError)
    assert [entry.info.key for entry in listed] == ["a", "b"]
    templates = await index.templates("a", "x", -1, 10)
    assert not isinstance(templates, FaceServeError)
    assert [template.id for template in templates] == [0, 2]
    assert (await change(index, RemoveLabel("a", "x"))).ids == [0, 2]
    assert (await change(index, Remove("a", [1, 7]))).ids == [1]
    assert (await change(index, Drop("a"))).count == 0
    assert isinstance(await index.entry("a"), GalleryNotFoundError)
    assert isinstance(await index.templates("a", None, -1, 10), GalleryNotFoundError)


async def test_the_store_is_ready_while_an_index_type_is_tried(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()
    monkeypatch.setattr("serve_app.deployments.index.check_index_type", lambda *_: tried.wait(20))
    created = asyncio.create_task(
        change(index, Create("staff", "Flat", Metric.IP, ["a"], embeddings(1)))
    )
    try:
        await asyncio.sleep(0)
        assert await asyncio.wait_for(index.store_ready(), 5) is None
        assert not created.done()
    finally:
        tried.set()
    await created


async def test_a_replica_says_that_it_is_alive(index: Index) -> None:
    """So that whoever replaces a gallery waits until it has read the new one."""
    deadline = asyncio.get_running_loop().time() + 30
    while not (alive := index._store.leases("replica/1-0/")):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
    assert len(alive) == 1


REQUEST = JobRequest(key="staff", input="/photos")


def hosts(index: Index) -> RecordedHosts:
    recorded = index._hosts
    assert isinstance(recorded, RecordedHosts)
    return recorded


async def submitted(index: Index, job_id: str, request: JobRequest = REQUEST) -> Job:
    job = await index.submit_job(job_id, request, ANONYMOUS)
    assert isinstance(job, Job), job
    return job


async def test_a_job_gets_a_host_each_time_it_is_sent_until_it_is_over(index: Index) -> None:
    job = await submitted(index, "one")
    assert (job.id, job.key, job.state) == ("one", "staff", JobState.QUEUED)
    assert JobRequest.model_validate_json(job.request) == REQUEST
    assert await submitted(index, "one") == job
    assert hosts(index).started == ["one", "one"]
    ended = await index.end_job("one")
    assert isinstance(ended, Job)
    assert ended.state is JobState.CANCELLED
    assert hosts(index).ended == ["one"]
    assert (await submitted(index, "one")).state is JobState.CANCELLED
    assert hosts(index).started == ["one", "one"]


async def test_another_job_of_the_same_id_is_refused_and_not_begun(index: Index) -> None:
    await submitted(index, "one")
    other = REQUEST.model_copy(update={"input": "/photos/other"})
    assert isinstance(await index.submit_job("one", other, ANONYMOUS), OperationReusedError)
    assert hosts(index).started == ["one"]


async def test_a_job_without_a_host_is_begun_when_it_is_sent_again(index: Index) -> None:
    hosts(index).down = True
    assert isinstance(await index.submit_job("one", REQUEST, ANONYMOUS), UnavailableError)
    hosts(index).down = False
    await submitted(index, "one")
    assert hosts(index).started == ["one"]


async def test_jobs_are_listed_newest_first_and_forgotten(index: Index) -> None:
    for job_id in ("a", "b", "c"):
        await submitted(index, job_id)
    listed = await index.jobs(2, None)
    assert not isinstance(listed, FaceServeError)
    assert [job.id for job in listed] == ["c", "b"]
    await index.end_job("c")
    for _ in range(2):
        assert await index.forget_job("c") is None
    assert hosts(index).ended == ["c"] * 3
    assert isinstance(await index.job("c"), JobNotFoundError)
    assert isinstance(await index.job("b"), Job)


async def test_rejected_rows_page_by_position(index: Index) -> None:
    await submitted(index, "one")
    jobs = index._jobs
    jobs.take("one", "me", 60)
    jobs.begin("one", "me", StagedGallery("Flat", Metric.IP, 8, "model"), 4, "same")
    rows = [
        SettledRow(n, f"/photos/{n}.jpg", "x", RowOutcome.REJECTED, "no face found")
        for n in range(4)
    ]
    jobs.stage("one", "me", SettledRows(0, 4, rows, embeddings(0).vectors))
    first = await index.rejections("one", -1, 3)
    assert not isinstance(first, FaceServeError)
    assert [row.position for row in first] == [0, 1, 2]
    assert (first[0].source, first[0].reason) == ("/photos/0.jpg", "no face found")
    rest = await index.rejections("one", 2, 3)
    assert not isinstance(rest, FaceServeError)
    assert [row.position for row in rest] == [3]
    job = await index.job("one")
    assert isinstance(job, Job)
    assert (job.total, job.done, job.rejected) == (4, 4, 4)


async def test_jobs_that_are_not_there(index: Index) -> None:
    for answer in (
        await index.job("x"),
        await index.rejections("x", -1, 10),
        await index.end_job("x"),
    ):
        assert isinstance(answer, JobNotFoundError)
    assert hosts(index).ended == []


async def test_what_is_held_about_a_label_is_told_and_erased(index: Index) -> None:
    by = Caller(tenant="acme", actor="k1")
    await change(index, Create("acme/staff", "Flat", Metric.IP, ["ann", "bob"], embeddings(2)))
    page = await index.held("acme", "ann", None, 10, True, by)
    assert isinstance(page, HeldPage)
    assert [(one.key, one.id) for one in page.templates] == [("acme/staff", 0)]
    assert page.templates[0].embedding == embeddings(2).vectors[0].tobytes()
    erased = [Erased("acme/staff", Where.SERVED, 1)]
    assert await index.erase_label("acme", "ann", by) == Erasure(erased, {}, [])
    assert await index.erase_label("", "bob", by) == Erasure([], {}, [])
    rows = await index.audit_rows(AuditQuery(tenant="acme"))
    assert isinstance(rows, list)
    assert [(row.action, row.actor) for row in rows] == [
        ("build", "operator"),
        ("export_label", "k1"),
        ("erase_label", "k1"),
    ]


@pytest.mark.parametrize("keep_days", [None, 1e-6])
async def test_the_audit_log_is_kept_as_long_as_the_serve_file_says(
    tmp_path: Path, keep_days: float | None
) -> None:
    url = f"sqlite:///{tmp_path / 'galleries.db'}"
    GalleryStore(url).close()
    stage = Index(
        (url, str(tmp_path / "snapshots")),
        Shard(),
        IndexConfig(),
        SnapshotConfig(),
        RecordedHosts(),
        audit=AuditConfig(keep_days=keep_days),
    )
    await change(stage, Create("staff", "Flat", Metric.IP, ["ann"], embeddings(1)))
    await asyncio.sleep(0.2)
    stage._keeper.look()
    rows = await stage.audit_rows(AuditQuery())
    assert isinstance(rows, list)
    assert len(rows) == (1 if keep_days is None else 0)
    stage.close()


async def test_an_erased_tenant_is_gone_from_a_replica_that_had_it_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, MASTER)
    url = f"sqlite:///{tmp_path / 'galleries.db'}"
    GalleryStore(url, vault=new_vault()).close()
    stage = Index(
        (url, str(tmp_path / "snapshots")),
        Shard(),
        IndexConfig(),
        SnapshotConfig(),
        RecordedHosts(),
        key_sources=(SOURCE,),
    )
    await change(stage, Create("acme/staff", "Flat", Metric.IP, ["Ada"], embeddings(1)))
    call = StageCall(("test", 1), [SearchRequest("acme/staff", embeddings(1), 1)], [60])
    (found,) = (await stage.search(call)).answers
    assert isinstance(found, SearchResult)
    assert found.candidates[0][0].label == "Ada"

    operator = GalleryStore(url, vault=new_vault())
    assert EncryptionStore(operator).erase_keys("acme") == 1  # the rest is not deleted yet
    operator.close()

    (gone,) = (await stage.search(StageCall(("test", 2), call.items, [60]))).answers
    assert isinstance(gone, GalleryNotFoundError)
    stage.close()


def test_without_its_master_key_a_replica_does_not_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'galleries.db'}"
    GalleryStore(url).close()
    with pytest.raises(ConfigError, match=f"the environment variable {VARIABLE} is not set"):
        Index(
            (url, str(tmp_path / "snapshots")),
            Shard(),
            IndexConfig(),
            SnapshotConfig(),
            RecordedHosts(),
            key_sources=(SOURCE,),
        )
