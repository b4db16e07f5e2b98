"""Where templates' images were, plain and sealed."""

from __future__ import annotations

import pytest

from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.types import JobMode
from tests.index.samples import build, info_of
from tests.index.staged_rows import HOLDER, begun, row, settled

PLAIN_AND_SEALED = True


@pytest.mark.parametrize("mode", [JobMode.CREATE, JobMode.APPEND])
def test_they_go_where_their_templates_go(
    any_store: GalleryStore, mode: JobMode, sealed: bool
) -> None:
    jobs = JobStore(any_store)
    first = 0
    if mode is JobMode.APPEND:
        build(any_store, count=3)
        first = 3
    begun(jobs, mode=mode)
    jobs.stage("job", HOLDER, settled([row(0), row(1)]), keep_sources=True)
    jobs.publish("job", HOLDER, "done")
    found = jobs.sources(info_of(any_store), -1, 9)
    assert found == [
        (first, "/photos/0.jpg", "new 0"),
        (first + 1, "/photos/1.jpg", "new 1"),
    ]
    assert jobs.sources(info_of(any_store), first, 9) == found[1:]
