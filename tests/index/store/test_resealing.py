"""Pages that are sealed anew, one transaction each."""

from __future__ import annotations

import pytest

from serve_app.index.store import GalleryStore, resealing
from serve_app.index.store.encryption_store import EncryptionStore
from tests.index.samples import build, info_of, labels_of
from tests.index.vaults import new_vault


def test_pages_go_on_after_each_other_and_skip_what_is_done(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "PAGE", 2)
    plain = GalleryStore(database_url)
    build(plain, count=5)
    plain.remove("staff", [1], with_labels=False)
    generation = info_of(plain).generation
    plain.close()
    store = GalleryStore(database_url, vault=new_vault())
    write = store.transactions.write

    def page(after: int) -> int | None:
        return write(lambda c: resealing.templates(c, "staff", generation, after))

    assert [page(-1), page(2), page(4)] == [2, 4, None]
    assert page(-1) is None
    assert labels_of(store) == {0: "0", 2: "2", 3: "3", 4: "4"}
    assert EncryptionStore(store).state("").rows == {1: 4}  # tombstones hold nothing to seal
    store.close()


def test_every_gallery_and_job_of_a_tenant_is_named(any_store: GalleryStore) -> None:
    build(any_store, "acme/staff")
    build(any_store, "staff")
    query = any_store.transactions.query
    assert [key for key, _ in query(lambda c: resealing.generations(c, "acme"))] == ["acme/staff"]
    assert query(lambda c: resealing.jobs(c, "acme")) == []
