"""All that is held about a label: wherever it is, and nothing of anybody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.held import HeldPage, HeldPlace, HeldRow, HeldTemplate, Where
from serve_app.index.store import GalleryStore, holding
from serve_app.index.store.job_store import JobStore
from tests.index.audits import audited
from tests.index.busy import embeddings_of
from tests.index.samples import DIMENSION, build, info_of
from tests.index.spread import ANN, enrol, page, spread
from tests.index.staged_rows import HOLDER, begun, row, settled

PLAIN_AND_SEALED = True


def test_everything(any_store: GalleryStore) -> None:
    spread(any_store)
    found = page(any_store)
    assert [(one.key, one.where, one.job, one.id, one.source) for one in found.templates] == [
        ("staff", Where.SERVED, "", 3, None),
        ("guests", Where.SERVED, "", 1, None),
        ("guests", Where.SERVED, "", 3, None),
        ("third", Where.PREVIOUS, "", 0, "/photos/0.jpg"),
        ("fourth", Where.STAGED, "three", 0, "/photos/0.jpg"),
    ]
    assert [(one.job, one.key, one.position, one.outcome, one.reason) for one in found.rows] == [
        ("one", "third", 0, "accepted", ""),
        ("three", "fourth", 0, "accepted", ""),
        ("three", "fourth", 1, "rejected", "no face"),
    ]
    assert {one.source for one in found.rows} == {"/photos/0.jpg", "/photos/1.jpg"}
    assert found.next is None
    assert found.templates[0].generation == info_of(any_store).generation
    assert {one.embedding for one in found.templates} == {None}
    assert "photos" not in repr(found.rows)


def test_when_templates_were_added(any_store: GalleryStore) -> None:
    spread(any_store)
    staff, third = audited(any_store), audited(any_store, "third")
    served, *_, previous, staged = page(any_store).templates
    assert served.added_at == staff[1].at
    assert previous.added_at == third[0].at
    assert staged.added_at is not None


def test_of_another_tenant_is_told_to_that_one_only(any_store: GalleryStore) -> None:
    spread(any_store)
    found = page(any_store, tenant="acme")
    assert [(one.key, one.id) for one in found.templates] == [("acme/staff", 1), ("acme/staff", 3)]
    assert found.rows == []
    assert page(any_store, tenant="acm") == page(any_store, "nobody") == HeldPage([], [])


def test_embeddings(any_store: GalleryStore) -> None:
    spread(any_store)
    for one in page(any_store, embeddings=True).templates:
        assert one.embedding is not None
        assert len(one.embedding) == 4 * DIMENSION
        assert one.embedding == embeddings_of([ANN]).vectors[0].astype("<f4").tobytes()
        assert "embedding" not in repr(one)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8])
def test_pages(any_store: GalleryStore, limit: int) -> None:
    spread(any_store)
    whole = page(any_store)
    items: list[HeldTemplate | HeldRow] = []
    after: HeldPlace | None = None
    while True:
        part = page(any_store, after=after, limit=limit)
        items += [*part.templates, *part.rows]
        if part.next is None:
            break
        assert len(part.templates) + len(part.rows) == limit
        after = HeldPlace.parse(str(part.next))
    assert items == [*whole.templates, *whole.rows]


def test_many_templates_of_a_label(any_store: GalleryStore) -> None:
    build(any_store, count=0)
    enrol(any_store, *[ANN] * 1200)
    first = page(any_store, limit=1000, embeddings=True)
    assert [one.id for one in first.templates] == list(range(1000))
    rest = page(any_store, after=first.next, limit=1000)
    assert [one.id for one in rest.templates] == list(range(1000, 1200))


def test_many_rows_of_a_label(any_store: GalleryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "PAGE", 2)
    jobs = JobStore(any_store)
    begun(jobs)
    labels = [ANN, "bob", ANN, ANN, ANN, "bob", ANN]
    jobs.stage(
        "job", HOLDER, settled([row(n, label, digest=bytes([n])) for n, label in enumerate(labels)])
    )
    assert [one.position for one in page(any_store).rows] == [0, 2, 3, 4, 6]


def test_no_credentials_of_urls(any_store: GalleryStore) -> None:
    """A job that keeps sources keeps them whole, to read them again."""
    jobs = JobStore(any_store)
    begun(jobs)
    secret = replace(row(0, ANN, digest=b"a"), source="https://me:pass@host/a.jpg?token=secret")
    jobs.stage("job", HOLDER, settled([secret]), keep_sources=True)
    found = page(any_store)
    assert [one.source for one in found.templates] == ["https://host/a.jpg"]
    assert [one.source for one in found.rows] == ["https://host/a.jpg"]
