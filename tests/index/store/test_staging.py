"""What a job stages: once each, in order, and seen by nobody; on both databases."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidRequestError,
    JobChangedError,
    JobConflictError,
)
from serve_app.index.copies.backup import backup
from serve_app.index.mutations import Drop, Mutation, Optimize, RemoveLabel
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store import GalleryStore
from serve_app.index.store.backup_file import BackupFile
from serve_app.index.store.job_store import JobStore
from serve_app.types import JobMode, JobState, Metric, Shard
from tests.index.busy import embeddings_of
from tests.index.samples import DIMENSION, MODEL, build, embeddings, labels_of, vectors
from tests.index.staged_rows import FLAT, HOLDER, begun, plain, published, row, settled

PLAIN_AND_SEALED = True

REJECTED, SKIPPED = RowOutcome.REJECTED, RowOutcome.SKIPPED


@pytest.fixture
def jobs(any_store: GalleryStore) -> JobStore:
    return JobStore(any_store)


def counts(url: str) -> dict[str, int]:
    """Rows of every table that a job writes to."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            table: int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            for table in ("gallery", "template", "template_source", "job_row")
        }
    engine.dispose()
    return found


def test_rows_are_staged_in_their_order(any_store: GalleryStore, jobs: JobStore) -> None:
    job = begun(jobs, total=6)
    assert (job.total, job.done) == (6, 0)
    jobs.stage("job", HOLDER, settled([row(0), row(1, outcome=REJECTED, reason="no face")]))
    job = jobs.stage("job", HOLDER, plain(2, 4))
    assert (job.done, job.accepted, job.rejected, job.duplicates) == (6, 5, 1, 0)
    info = jobs.staged(job)
    assert (info.size, info.next_id, info.seq) == (5, 5, 1)
    page = any_store.page(info, -1, 100)
    assert page.ids == [0, 1, 2, 3, 4]
    assert page.labels == [f"new {n}" for n in (0, 2, 3, 4, 5)]
    np.testing.assert_array_equal(page.vectors, embeddings_of(page.labels).vectors)


def test_nothing_accepted(jobs: JobStore) -> None:
    begun(jobs)
    job = jobs.stage("job", HOLDER, settled([row(n, outcome=REJECTED) for n in range(3)]))
    assert (job.done, job.accepted, job.rejected) == (3, 0, 3)
    assert jobs.staged(job).size == 0


@pytest.mark.parametrize("start", [0, 1, 3])
def test_rows_that_are_not_the_next_ones(jobs: JobStore, start: int) -> None:
    begun(jobs)
    jobs.stage("job", HOLDER, plain(0, 2))
    with pytest.raises(JobConflictError, match=f"at row 2, not at {start}"):
        jobs.stage("job", HOLDER, plain(start, 2))
    assert jobs.job("job").done == 2


def test_it_goes_on_where_it_was(jobs: JobStore) -> None:
    begun(jobs, total=4)
    first = jobs.stage("job", HOLDER, plain(0, 2))
    jobs.let_go("job", HOLDER)
    again = begun(jobs, holder="another", total=4)
    assert (again.generation, again.done) == (first.generation, 2)
    assert jobs.stage("job", "another", plain(2, 2)).accepted == 4


def test_a_changed_input_or_model_is_refused(jobs: JobStore) -> None:
    begun(jobs)
    with pytest.raises(JobChangedError, match="input of job job changed"):
        jobs.begin("job", HOLDER, FLAT, None, "other")
    for other in (
        StagedGallery("HNSW32", Metric.IP, DIMENSION, MODEL),
        StagedGallery("Flat", Metric.L2, DIMENSION, MODEL),
        StagedGallery("Flat", Metric.IP, 4, MODEL),
        StagedGallery("Flat", Metric.IP, DIMENSION, "other"),
    ):
        with pytest.raises(JobChangedError, match="begun with sface-1234 8 Flat IP, not with"):
            jobs.begin("job", HOLDER, other, None, "fingerprint")


def test_what_could_not_be_published_is_not_begun(any_store: GalleryStore, jobs: JobStore) -> None:
    with pytest.raises(GalleryNotFoundError, match="create it"):
        begun(jobs, "a", mode=JobMode.APPEND)
    build(any_store)
    with pytest.raises(GalleryExistsError, match="append to it, replace it"):
        begun(jobs, "b")
    other = StagedGallery("Flat", Metric.IP, DIMENSION, "other")
    with pytest.raises(GalleryMismatchError, match="model"):
        begun(jobs, "c", mode=JobMode.APPEND, wanted=other)
    fitting = StagedGallery("Flat", Metric.IP, DIMENSION, "other", frozenset({MODEL}))
    begun(jobs, "d", mode=JobMode.APPEND, wanted=fitting)
    begun(jobs, "e", mode=JobMode.REPLACE, wanted=other)


def test_nobody_sees_it(
    any_store: GalleryStore, jobs: JobStore, tmp_path: Path, database_url: str
) -> None:
    build(any_store, "guests")
    job = begun(jobs)
    jobs.stage("job", HOLDER, plain(0, 3))
    published(any_store, "first", "replaced")
    published(any_store, "second", "replaced", JobMode.REPLACE)
    for hidden in ("job:job", "previous:replaced", "staff"):
        assert any_store.describe([hidden]) == {}
        with pytest.raises(GalleryNotFoundError):
            any_store.entry(hidden)
        changes: list[Mutation] = [Drop(hidden), Optimize(hidden), RemoveLabel(hidden, "new 0")]
        for answer in any_store.apply(changes):
            assert isinstance(answer, GalleryNotFoundError)
        with pytest.raises(GalleryNotFoundError):
            any_store.add(hidden, ["x"], embeddings(1), with_labels=False)
        with pytest.raises(GalleryNotFoundError):
            any_store.remove(hidden, [0], with_labels=False)
    assert [entry.info.key for entry in any_store.galleries("", 9)] == ["guests", "replaced"]
    assert {each.info.key for each in any_store.standings(Shard(), 0)} == {"guests", "replaced"}
    backup(any_store, tmp_path / "backup")
    copied = BackupFile(tmp_path / "backup")
    assert [entry.info.key for entry in copied.galleries("", 9)] == ["guests", "replaced"]
    copied.close()
    assert counts(f"sqlite:///{tmp_path / 'backup'}") == {
        "gallery": 2, "template": 6, "template_source": 0, "job_row": 0,
    }  # fmt: skip
    assert job.generation is not None
    assert any_store.of_generation(job.generation) == jobs.staged(job)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_ends_otherwise_leaves_nothing(
    jobs: JobStore, database_url: str, state: JobState
) -> None:
    begun(jobs)
    rows = [row(0, digest=b"a"), row(1, outcome=REJECTED), row(2, digest=b"b")]
    jobs.stage("job", HOLDER, settled(rows), keep_sources=True)
    assert counts(database_url) == {
        "gallery": 1, "template": 2, "template_source": 2, "job_row": 3,
    }  # fmt: skip
    jobs.end("job", state, "")
    assert set(counts(database_url).values()) == {0}


@pytest.mark.usefixtures("journal")
def test_nothing_of_it_is_left_on_the_disk(url: str, file: Path) -> None:
    store = GalleryStore(url)
    jobs = JobStore(store)
    begun(jobs)
    labels = [f"person-{number:04}-{'x' * 40}" for number in range(300)]
    rows = [row(n, label, digest=label.encode()[:16]) for n, label in enumerate(labels)]
    jobs.stage("job", HOLDER, settled(rows), keep_sources=True)
    marks = [b"person-", b"/photos/", *(part.tobytes() for part in embeddings_of(labels).vectors)]

    def found() -> list[bytes]:
        content = b"".join(path.read_bytes() for path in file.parent.iterdir())
        return [mark for mark in marks if mark in content]

    assert len(found()) == len(marks)
    jobs.end("job", JobState.CANCELLED, "")
    assert found() == []
    store.close()


def outcomes(jobs: JobStore) -> list[tuple[str, int | None]]:
    return [(str(each.outcome), each.same_as) for each in jobs.rows("job")]


@pytest.mark.parametrize("skip", [False, True])
def test_the_same_image_again(jobs: JobStore, skip: bool) -> None:
    """In one batch, in another one, and after the job was begun again."""
    begun(jobs)
    one = [row(0, "ann", digest=b"1"), row(1, "ann", digest=b"1"), row(2, "bob", digest=b"1")]
    two = [row(3, "ann", digest=b"1"), row(4, "ann", digest=b"2"), row(5, "bob", digest=b"1")]
    jobs.stage("job", HOLDER, settled(one), skip_duplicates=skip)
    jobs.let_go("job", HOLDER)
    begun(jobs, holder="another")
    job = jobs.stage("job", "another", settled(two), skip_duplicates=skip)
    again = "skipped" if skip else "accepted"
    assert outcomes(jobs) == [
        ("accepted", None), (again, 0), ("accepted", 0),
        (again, 0), ("accepted", None), (again, 0),
    ]  # fmt: skip
    assert (job.accepted, job.duplicates, job.rejected) == (3 if skip else 6, 4, 0)
    jobs.publish("job", "another", "")
    labels = ["ann", "bob", "ann"] if skip else ["ann", "ann", "bob", "ann", "ann", "bob"]
    assert list(labels_of(jobs._store).values()) == labels


def test_an_image_that_was_rejected_before_is_no_reason_to_skip(jobs: JobStore) -> None:
    begun(jobs)
    rows = [row(0, "ann", REJECTED, digest=b"1"), row(1, "ann", digest=b"1")]
    jobs.stage("job", HOLDER, settled(rows), skip_duplicates=True)
    jobs.stage("job", HOLDER, settled([row(2, "ann", digest=b"1")]), skip_duplicates=True)
    assert outcomes(jobs) == [("rejected", None), ("accepted", 0), ("skipped", 0)]


def test_vectors_stay_with_their_rows_where_some_are_skipped(
    any_store: GalleryStore, jobs: JobStore
) -> None:
    begun(jobs)
    rows = [row(n, f"p{n // 2}", digest=bytes([n // 2])) for n in range(10)]
    jobs.stage("job", HOLDER, settled(rows), skip_duplicates=True)
    page = any_store.page(jobs.staged(jobs.job("job")), -1, 100)
    assert page.labels == ["p0", "p1", "p2", "p3", "p4"]
    np.testing.assert_array_equal(page.vectors, embeddings_of(page.labels).vectors)


def test_more_images_than_a_statement_takes(jobs: JobStore) -> None:
    begun(jobs)
    many = [row(n, "ann", digest=n.to_bytes(2, "big")) for n in range(1200)]
    jobs.stage("job", HOLDER, settled(many))
    again = [row(1200 + n, "ann", digest=n.to_bytes(2, "big")) for n in range(1200)]
    assert jobs.stage("job", HOLDER, settled(again), skip_duplicates=True).duplicates == 1200
    assert [each.same_as for each in jobs.rows("job")][1200:] == list(range(1200))


def test_ids_of_the_input(any_store: GalleryStore, jobs: JobStore) -> None:
    begun(jobs)
    jobs.stage("job", HOLDER, settled([row(0, number=5), row(1, number=7), row(2)]))
    jobs.stage("job", HOLDER, settled([row(3, number=100)]))
    info = jobs.staged(jobs.job("job"))
    assert any_store.page(info, -1, 9).ids == [5, 7, 8, 100]
    assert info.next_id == 101
    for taken in (100, 3):
        with pytest.raises(InvalidRequestError, match=rf"row 4 has id {taken}, ids up to 100"):
            jobs.stage("job", HOLDER, settled([row(4, number=taken)]))
    assert jobs.job("job").done == 4


def test_a_stage_costs_the_same_at_the_end(
    any_store: GalleryStore, jobs: JobStore, database_url: str
) -> None:
    """100,000 rows in batches of 10,000. A cost that grows with what is there would show."""
    count, size = 100_000, 10_000
    found = vectors(size, 128)
    batches = []
    wanted = StagedGallery("Flat", Metric.IP, 128, MODEL)
    begun(jobs, "large", "large", wanted=wanted)
    for start in range(0, count, size):
        rows = [
            SettledRow(n, f"/photos/{n}.jpg", f"p{n}", RowOutcome.ACCEPTED)
            for n in range(start, start + size)
        ]
        begin = time.perf_counter()
        jobs.stage("large", HOLDER, SettledRows(start, start + size, rows, found))
        batches.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    assert jobs.publish("large", HOLDER, "").size == count
    publish_s = time.perf_counter() - begin
    kind = database_url.partition(":")[0]
    print(f"{kind}: {count / sum(batches):,.0f} rows/s staged, published in {publish_s:.3f} s")
    assert sum(batches[5:]) < 3 * sum(batches[:5])
    assert publish_s < sum(batches)
