"""What became of a job's rows: what the table tells, and what is found by an image."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from serve_app.index.staged import RowOutcome
from serve_app.index.store import GalleryStore, input_rows
from serve_app.index.store.job_store import JobStore
from tests.index.staged_rows import HOLDER, begun, row, settled

PLAIN_AND_SEALED = True
ONE, OTHER = bytes(range(16)), bytes(range(16, 32))


def test_images_are_found_again(any_store: GalleryStore) -> None:
    jobs = JobStore(any_store)
    begun(jobs)
    first = row(0, "Ada", digest=ONE)
    rejected = row(1, "Grace", RowOutcome.REJECTED, reason="no face", digest=OTHER)
    jobs.stage("job", HOLDER, settled([first, rejected]))
    write = any_store.transactions.write
    asked = [ONE, OTHER, b"x" * 16]
    assert write(lambda c: input_rows.first_positions(c, "job", asked)) == {ONE: 0, OTHER: 1}
    found = write(lambda c: input_rows.enrolled(c, "job", asked, {"Ada", "Grace"}))
    assert found == {(ONE, "Ada")}
    assert list(jobs.rows("job")) == [first, rejected]
    assert write(lambda c: input_rows.first_positions(c, "another", asked)) == {}


def test_sealed_rows_tell_nothing(any_store: GalleryStore, database_url: str, sealed: bool) -> None:
    jobs = JobStore(any_store)
    begun(jobs)
    jobs.stage("job", HOLDER, settled([row(0, "Ada", digest=ONE)]))
    engine = create_engine(database_url)
    with engine.connect() as connection:
        (found,) = connection.execute(text("SELECT source, label, digest FROM job_row"))
    engine.dispose()
    told = (found.source, found.label, bytes(found.digest))
    assert (told == ("/photos/0.jpg", "Ada", ONE)) is not sealed
    if sealed:
        assert "Ada" not in repr(told)
        assert "photos" not in repr(told)
        assert told[2] != ONE
