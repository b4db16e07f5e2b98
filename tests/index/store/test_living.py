"""An erased tenant gets nothing new, encrypted or not, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.index.copies.backup import backup, restore
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.index.store.job_store import JobStore
from tests.index.samples import build
from tests.index.staged_rows import begun

PLAIN_AND_SEALED = True
ERASED = "tenant acme was erased: choose another name"


def erase(store: GalleryStore) -> None:
    EncryptionStore(store).erase_keys("acme")
    EncryptionStore(store).drop_all("acme")


def test_no_gallery(any_store: GalleryStore) -> None:
    build(any_store, "acme/staff")
    erase(any_store)
    with pytest.raises(InvalidRequestError, match=ERASED):
        build(any_store, "acme/staff")
    build(any_store, "other/staff")
    assert EncryptionStore(any_store).living() == ["", "other"]


def test_no_gallery_out_of_a_backup(any_store: GalleryStore, tmp_path: Path) -> None:
    build(any_store, "acme/staff")
    keys = EncryptionStore(any_store).wrapped_keys()
    backup(any_store, tmp_path / "my.backup")
    erase(any_store)
    with pytest.raises(InvalidRequestError, match=ERASED):
        restore(tmp_path / "my.backup", any_store, sealed_by=keys)


def test_no_job(any_store: GalleryStore) -> None:
    erase(any_store)
    with pytest.raises(InvalidRequestError, match=ERASED):
        begun(JobStore(any_store), "acme/job", key="acme/staff")
