"""Rows are staged in their order, a commit at a time, until too many are rejected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.errors import (
    InvalidRequestError,
    JobConflictError,
    JobLostError,
    RejectedPairsError,
    UnavailableError,
)
from serve_app.index.staged import RowOutcome, SettledRows
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs import settling
from serve_app.jobs.faces import NO_ID, Columns
from serve_app.jobs.inputs.rows import EmbeddingRows
from serve_app.jobs.settling import Settling, gathered, settled, settled_embeddings
from serve_app.types import Job, JobState
from tests.index.samples import DIMENSION

from .away import away
from .samples import ALL, HOLDER, JOB, begun, request, rows


def settle(jobs: JobStore, batches: Any, *, patience_s: float = 5.0, **facts: Any) -> list[Job]:
    asked = request(**facts)
    job = begun(jobs, asked)
    return list(Settling(jobs, job, HOLDER, asked, patience_s=patience_s).run(batches))


@pytest.fixture
def one_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is committed by itself."""
    monkeypatch.setattr(settling, "COMMIT_S", 0.0)


def tens(taken: list[int], rejected: set[int]) -> Iterator[SettledRows]:
    """Ten batches of ten rows; ``taken``: where those begin that were asked for."""
    for start in range(0, 100, 10):
        taken.append(start)
        yield rows(start, 10, rejected)


def test_rows_are_staged_in_their_order(store: GalleryStore, jobs: JobStore) -> None:
    (job,) = settle(jobs, [rows(0, 3), rows(3, 1, {3}), rows(4, 2)])
    assert (job.done, job.accepted, job.rejected) == (6, 5, 1)
    page = store.page(jobs.staged(job), -1, 100)
    assert page.ids == [0, 1, 2, 3, 4]
    assert page.labels == [f"person {position}" for position in (0, 1, 2, 4, 5)]
    np.testing.assert_array_equal(page.vectors, ALL[[0, 1, 2, 4, 5]])


def test_fast_rows_are_gathered_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "COMMIT_S", 3600.0)
    monkeypatch.setattr(settling, "COMMIT_ROWS", 10)
    parts = list(gathered(rows(start, 4, {9}) for start in range(0, 28, 4)))
    assert [(part.start, part.upto) for part in parts] == [(0, 12), (12, 24), (24, 28)]
    assert [len(part.rows) for part in parts] == [12, 12, 4]
    np.testing.assert_array_equal(parts[0].vectors, ALL[[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]])
    np.testing.assert_array_equal(parts[2].vectors, ALL[24:28])


def test_slow_rows_are_gathered_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("serve_app.jobs.settling.time.monotonic", lambda: now[0])

    def slow() -> Iterator[SettledRows]:
        for start in range(5):
            now[0] += 0.4
            yield rows(start, 1)

    assert [(part.start, part.upto) for part in gathered(slow())] == [(0, 3), (3, 5)]


def test_nothing_comes_of_nothing(jobs: JobStore) -> None:
    assert settle(jobs, []) == []


@pytest.mark.usefixtures("one_a_commit")
def test_fail_fast_ends_with_the_first_that_is_rejected(jobs: JobStore) -> None:
    taken: list[int] = []
    with pytest.raises(RejectedPairsError) as given_up:
        settle(jobs, tens(taken, {17, 19, 33}), fail_fast=True)
    assert taken == [0, 10]
    assert str(given_up.value) == (
        "2 of 20 rows were rejected, 0 may be: row 17 (/photos/17.jpg): no face; "
        "row 19 (/photos/19.jpg): no face"
    )
    assert jobs.job(JOB).done == 20


@pytest.mark.usefixtures("one_a_commit")
@pytest.mark.parametrize(("limit", "last"), [("5%", 50), ("5", 50), ("4", 40), ("0", 0), ("0%", 0)])
def test_too_many_are_rejected(limit: str, last: int, jobs: JobStore) -> None:
    taken: list[int] = []
    with pytest.raises(RejectedPairsError, match=rf"of {last + 10} rows .* (row \d+ [^;]+;? ?)+$"):
        settle(jobs, tens(taken, set(range(3, 100, 10))), max_rejected=limit)
    assert taken[-1] == last


@pytest.mark.usefixtures("one_a_commit")
@pytest.mark.parametrize("limit", ["10%", "10", None])
def test_as_many_as_may_be_are_no_reason_to_end(limit: str | None, jobs: JobStore) -> None:
    taken: list[int] = []
    job = settle(jobs, tens(taken, set(range(3, 100, 10))), max_rejected=limit)[-1]
    assert (job.done, job.rejected) == (100, 10)


def test_a_job_that_goes_on_with_too_many_reads_nothing(jobs: JobStore) -> None:
    settle(jobs, [rows(0, 10, {3, 4})])
    taken: list[int] = []
    with pytest.raises(RejectedPairsError, match="2 of 10 rows were rejected, 1 may be"):
        settle(jobs, tens(taken, set()), max_rejected="1")
    assert taken == []


def test_a_job_goes_on_where_it_was(store: GalleryStore, jobs: JobStore) -> None:
    settle(jobs, [rows(0, 10, {3})])
    job = settle(jobs, [rows(10, 5)])[-1]
    assert (job.done, job.accepted, job.rejected) == (15, 14, 1)
    with pytest.raises(JobConflictError, match="is at row 15, not at 10"):
        settle(jobs, [rows(10, 5)])
    page = store.page(jobs.staged(job), -1, 100)
    np.testing.assert_array_equal(page.vectors, ALL[[*range(3), *range(4, 15)]])


def test_a_store_that_is_away_for_a_while_is_waited_for(
    file: Path,
    jobs: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(settling, "AGAIN_S", 0.05)
    monkeypatch.setattr(settling, "COMMIT_S", 0.0)

    def batches() -> Iterator[SettledRows]:
        with away(file, seconds=0.6):
            yield rows(0, 3)

    (job,) = settle(jobs, batches(), patience_s=10)
    assert (job.done, job.accepted) == (3, 3)
    assert caplog.messages.count("the gallery store does not answer; trying again") > 1


def test_a_store_that_stays_away_ends_the_run_and_not_the_job(
    file: Path, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "AGAIN_S", 0.05)
    asked = request()
    job = begun(jobs, asked)
    with away(file), pytest.raises(UnavailableError):
        list(Settling(jobs, job, HOLDER, asked, patience_s=0.3).run([rows(0, 3)]))
    job = jobs.job(JOB)
    assert (job.state, job.done) == (JobState.RUNNING, 0)


class Answerless(JobStore):
    """Its first commit is made, and the answer lost."""

    lost = False

    def stage(self, *arguments: Any, **options: Any) -> Job:
        job = super().stage(*arguments, **options)
        if not self.lost:
            self.lost = True
            raise UnavailableError("the gallery store is unavailable")
        return job


def test_a_commit_whose_answer_was_lost_is_not_made_again(
    store: GalleryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "AGAIN_S", 0.0)
    monkeypatch.setattr(settling, "COMMIT_S", 0.0)
    jobs = Answerless(store)
    first, second = settle(jobs, [rows(0, 3), rows(3, 3)])
    assert jobs.lost
    assert (first.done, second.done, second.accepted) == (3, 6, 6)
    assert store.page(jobs.staged(second), -1, 100).ids == list(range(6))


@pytest.mark.usefixtures("one_a_commit")
def test_a_run_that_lost_its_job_stages_nothing_more(jobs: JobStore) -> None:
    def batches(end: Any) -> Iterator[SettledRows]:
        yield rows(0, 2)
        end()
        yield rows(2, 2)

    def taken_over() -> None:
        jobs.let_go(JOB, HOLDER)
        jobs.take(JOB, "another", 60)

    with pytest.raises(JobLostError, match="another process"):
        settle(jobs, batches(taken_over))
    assert jobs.job(JOB).done == 2
    jobs.let_go(JOB, "another")
    with pytest.raises(JobLostError, match="cancelled"):
        settle(jobs, (batch for batch in cancelled(jobs)))


def cancelled(jobs: JobStore) -> Iterator[SettledRows]:
    jobs.end(JOB, JobState.CANCELLED, "cancelled")
    yield rows(2, 2)


def test_what_was_asked_about_repeated_images(store: GalleryStore, jobs: JobStore) -> None:
    """And about their sources."""

    def batch() -> SettledRows:
        return settled(columns(4, digests=[b"a", b"b", b"a", b""], labels=["x", "x", "x", "x"]))

    (job,) = settle(jobs, [batch()], duplicates="skip", keep_sources=True)
    assert (job.done, job.accepted, job.rejected, job.duplicates) == (4, 3, 0, 1)
    info = jobs.staged(job)
    np.testing.assert_array_equal(store.page(info, -1, 100).vectors, ALL[[0, 1, 3]])
    assert jobs.sources(info, -1, 100) == [(0, "0.jpg", "x"), (1, "1.jpg", "x"), (2, "3.jpg", "x")]
    jobs.end(JOB, JobState.FAILED, "")
    jobs.forget(JOB)
    (job,) = settle(jobs, [batch()])
    assert (job.accepted, job.duplicates) == (4, 1)
    assert jobs.sources(jobs.staged(job), -1, 100) == []


SIGNED = "https://me:secret@host/a.jpg?X-Amz-Signature=secret"


def signed() -> SettledRows:
    """Two rows, the second rejected."""
    batch = columns(2, faults={1: "no face"}, digests=[b"a", b"b"])
    return settled(batch | {"source": np.array([SIGNED] * 2, dtype=object)})


def test_secrets_of_urls_are_not_told(jobs: JobStore) -> None:
    with pytest.raises(RejectedPairsError, match=r"row 1 \(https://host/a\.jpg\): no face"):
        settle(jobs, [signed()], fail_fast=True)
    assert [row.source for row in jobs.rows(JOB)] == ["https://host/a.jpg"] * 2
    assert [row.source for row in jobs.rejections(JOB, -1, 10)] == ["https://host/a.jpg"]


def test_a_source_that_is_kept_is_kept_whole(jobs: JobStore) -> None:
    """It is to be read again. What is rejected is not."""
    (job,) = settle(jobs, [signed()], keep_sources=True)
    assert jobs.sources(jobs.staged(job), -1, 10) == [(0, SIGNED, "person 0")]
    assert [row.source for row in jobs.rejections(JOB, -1, 10)] == ["https://host/a.jpg"]


def columns(
    count: int,
    *,
    start: int = 0,
    faults: dict[int, str] | None = None,
    digests: list[bytes] | None = None,
    labels: list[str] | None = None,
    ids: list[int] | None = None,
) -> Columns:
    """As the extractors give them; ``faults`` by place."""
    found = faults or {}
    vectors = ALL[start : start + count].copy()
    vectors[list(found)] = 0
    return {
        "position": np.arange(start, start + count, dtype=np.int64),
        "id": np.array(ids or [NO_ID] * count, dtype=np.int64),
        "source": np.array([f"{start + n}.jpg" for n in range(count)], dtype=object),
        "label": np.array(labels or [f"person {n}" for n in range(count)], dtype=object),
        "fault": np.array([found.get(n, "") for n in range(count)], dtype=object),
        "digest": np.array(digests or [b""] * count, dtype=object),
        "vector": vectors,
    }


def test_faults_keep_rows_and_vectors_together() -> None:
    batch = settled(columns(6, start=20, faults={0: "no face", 3: "torn"}, ids=[1, 2, 3, 4, 5, 6]))
    assert (batch.start, batch.upto) == (20, 26)
    assert [row.position for row in batch.rows] == list(range(20, 26))
    assert [row.reason for row in batch.rows] == ["no face", "", "", "torn", "", ""]
    accepted = [row for row in batch.rows if row.outcome is RowOutcome.ACCEPTED]
    assert [row.source for row in accepted] == ["21.jpg", "22.jpg", "24.jpg", "25.jpg"]
    assert [row.id for row in accepted] == [2, 3, 5, 6]
    np.testing.assert_array_equal(batch.vectors, ALL[[21, 22, 24, 25]])


def test_what_the_input_does_not_give_is_none() -> None:
    batch = settled(columns(2, digests=[b"", b"d"]))
    assert [row.id for row in batch.rows] == [None, None]
    assert [row.digest for row in batch.rows] == [None, b"d"]


def test_a_batch_of_faults_only_has_no_vectors() -> None:
    batch = settled(columns(2, faults={0: "a", 1: "b"}))
    assert batch.vectors.shape == (0, DIMENSION)


@pytest.mark.parametrize("positions", [[0, 2, 3], [1, 0, 2], [0, 0, 1]])
def test_rows_out_of_order_are_refused(positions: list[int]) -> None:
    batch = columns(3) | {"position": np.array(positions)}
    with pytest.raises(InvalidRequestError, match="another order"):
        settled(batch)


def embedding_rows(start: int, count: int, **facts: Any) -> EmbeddingRows:
    labels = [f"person {start + n}" for n in range(count)]
    values = {"ids": None, "faults": {}, **facts}
    return EmbeddingRows(start, labels, ALL[start : start + count], **values)


def test_ready_embeddings(store: GalleryStore, jobs: JobStore) -> None:
    given = [
        embedding_rows(0, 3, ids=[4, 7, 9], faults={1: "not finite"}),
        embedding_rows(3, 2, ids=[11, 12]),
    ]
    (job,) = settle(jobs, [settled_embeddings(batch, "s3://b/t.parquet") for batch in given])
    page = store.page(jobs.staged(job), -1, 100)
    assert page.ids == [4, 9, 11, 12]
    assert page.labels == ["person 0", "person 2", "person 3", "person 4"]
    np.testing.assert_array_equal(page.vectors, ALL[[0, 2, 3, 4]])
    (rejection,) = jobs.rejections(JOB, -1, 10)
    assert (rejection.position, rejection.source) == (1, "s3://b/t.parquet")
    assert (rejection.label, rejection.reason) == ("person 1", "not finite")


def test_secrets_of_a_tables_url_are_not_told(jobs: JobStore) -> None:
    table = "https://host/t.parquet?sig=secret"
    settle(jobs, [settled_embeddings(embedding_rows(0, 2, faults={1: "zero"}), table)])
    assert [row.source for row in jobs.rejections(JOB, -1, 10)] == ["https://host/t.parquet"]


def test_ready_embeddings_without_ids(store: GalleryStore, jobs: JobStore) -> None:
    (job,) = settle(jobs, [settled_embeddings(embedding_rows(0, 3, faults={0: "zero"}), "t")])
    assert store.page(jobs.staged(job), -1, 100).ids == [0, 1]


def test_ids_that_come_twice_are_refused(jobs: JobStore) -> None:
    with pytest.raises(InvalidRequestError, match=r"row 1 has id 4.*sort the input"):
        settle(jobs, [settled_embeddings(embedding_rows(0, 2, ids=[4, 4]), "t")])
