"""A gallery that is embedded anew while the old one changes, on both databases."""

from __future__ import annotations

import pytest

from serve_app.errors import GalleryMismatchError
from serve_app.index.mutations import Drop
from serve_app.index.records import Moment
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.types import GalleryInfo, JobMode
from tests.index.samples import build, embeddings, info_of, labels_of
from tests.index.staged_rows import HOLDER, begun, plain


@pytest.fixture
def jobs(any_store: GalleryStore) -> JobStore:
    return JobStore(any_store)


def staged(store: GalleryStore, jobs: JobStore) -> Moment:
    """Six templates are served, and as many are staged in their place; since when."""
    build(store, "staff", 6)
    info = info_of(store)
    begun(jobs, mode=JobMode.REPLACE)
    jobs.stage("job", HOLDER, plain(0, 6), keep_sources=True)
    return Moment(info.generation, info.seq)


def switched(jobs: JobStore, since: Moment) -> GalleryInfo:
    return jobs.publish("job", HOLDER, "done", in_place_of=since)


def test_nothing_happened(any_store: GalleryStore, jobs: JobStore) -> None:
    since = staged(any_store, jobs)
    before = jobs.staged(jobs.job("job"))
    info = switched(jobs, since)
    assert (info.size, info.next_id, info.seq) == (6, 6, before.seq)


def test_what_was_removed_stays_removed_and_its_id_is_nobodys(
    any_store: GalleryStore, jobs: JobStore
) -> None:
    since = staged(any_store, jobs)
    ahead = jobs.staged(jobs.job("job"))
    any_store.remove("staff", [1, 5], with_labels=False)
    info = switched(jobs, since)
    assert labels_of(any_store) == {n: f"new {n}" for n in (0, 2, 3, 4)}
    assert info == info_of(any_store)
    assert (info.size, info.next_id) == (4, 6)
    sources = jobs.sources(info, -1, 100)
    assert [number for number, _, _ in sources] == [0, 2, 3, 4]
    changes = any_store.changes(ahead)
    assert changes is not None, "replicas that have read it could not be told"
    assert sorted(changes.removed) == [1, 5]
    added = any_store.add("staff", ["x"], embeddings(1), with_labels=False)
    assert added.ids == [6]


@pytest.mark.parametrize("change", ["added", "replaced", "gone"])
def test_what_has_no_new_embedding_is_not_lost(
    change: str, any_store: GalleryStore, jobs: JobStore
) -> None:
    since = staged(any_store, jobs)
    if change == "added":
        any_store.add("staff", ["late"], embeddings(1), with_labels=False)
    else:
        any_store.do(Drop("staff"))
    if change == "replaced":
        build(any_store, "staff", 2)
    expected = None if change == "gone" else labels_of(any_store)
    with pytest.raises(GalleryMismatchError, match="embed it anew again"):
        switched(jobs, since)
    assert (labels_of(any_store) if expected is not None else None) == expected
    assert jobs.staged(jobs.job("job")).size == 6


def test_a_moment_as_text() -> None:
    moment = Moment("0" * 32, 17)
    assert Moment.parse(str(moment)) == moment
