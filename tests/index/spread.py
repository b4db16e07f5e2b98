"""A label of the tests, wherever a store can hold it."""

from __future__ import annotations

from serve_app.held import HeldPage, HeldPlace
from serve_app.index.staged import RowOutcome
from serve_app.index.store import GalleryStore, holding
from serve_app.index.store.job_store import JobStore
from serve_app.types import JobMode

from .busy import embeddings_of
from .samples import build
from .staged_rows import HOLDER, begun, row, settled

ANN = "ann/ünï"


def enrol(store: GalleryStore, *labels: str, key: str = "staff") -> None:
    store.add(key, labels, embeddings_of([*labels]), with_labels=False)


def spread(store: GalleryStore) -> None:
    """ANN served in two galleries, kept for a rollback in a third, staged by a job, and in the rows
    of two; and in a gallery of another tenant."""
    for key in ("staff", "guests", "acme/staff"):
        build(store, key, 1)
        enrol(store, ANN, "bob", ANN, key=key)
    store.remove("staff", [1], with_labels=False)
    jobs = JobStore(store)
    begun(jobs, "one", "third")
    jobs.stage("one", HOLDER, settled([row(0, ANN, digest=b"a"), row(1, "bob")]), keep_sources=True)
    jobs.publish("one", HOLDER, "")
    begun(jobs, "two", "third", JobMode.REPLACE)
    jobs.stage("two", HOLDER, settled([row(0, "bob")]))
    jobs.publish("two", HOLDER, "")
    begun(jobs, "three", "fourth")
    rows = [row(0, ANN, digest=b"b"), row(1, ANN, RowOutcome.REJECTED, reason="no face")]
    jobs.stage("three", HOLDER, settled([*rows, row(2, "bob", digest=b"c")]), keep_sources=True)


def page(
    store: GalleryStore,
    label: str = ANN,
    tenant: str = "",
    after: HeldPlace | None = None,
    limit: int = 100,
    embeddings: bool = False,
) -> HeldPage:
    return store.transactions.read(
        lambda connection: holding.page(
            connection, tenant, label, after or HeldPlace(), limit, embeddings
        )
    )
