"""Backups of encrypted stores: while a rotation runs, and where other keys are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import ConfigError, UnavailableError
from serve_app.index.copies.backup import backup, backup_keys, restore
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.types import GalleryInfo
from tests.index.samples import build, labels_of, raw
from tests.index.vaults import new_vault


@pytest.fixture
def store(database_url: str) -> Iterator[GalleryStore]:
    store = GalleryStore(database_url, vault=new_vault())
    build(store, "guests")
    build(store, "staff")
    yield store
    store.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[GalleryStore]:
    other = GalleryStore(sqlite_url(tmp_path / "other" / "galleries.db"), vault=new_vault())
    yield other
    other.close()


def rotate(store: GalleryStore) -> None:
    keys = EncryptionStore(store, pause=lambda _: None)
    keys.new_version("")
    keys.reseal("")
    assert keys.retire("")


def test_one_that_overlaps_a_rotation_says_so(store: GalleryStore, tmp_path: Path) -> None:
    def meanwhile(info: GalleryInfo) -> None:
        if info.key == "guests":
            rotate(store)

    with pytest.raises(UnavailableError, match="a rotation ran meanwhile: back up again"):
        backup(store, tmp_path / "my.backup", progress=meanwhile)
    assert not (tmp_path / "my.backup").exists()
    backup(store, tmp_path / "my.backup")
    assert len(restore(tmp_path / "my.backup", store, replace=True)) == 2


def test_keys_that_are_kept_apart_open_it_after_a_rotation(
    store: GalleryStore, other: GalleryStore, tmp_path: Path
) -> None:
    kept = backup_keys(store)
    rotate(store)
    build(store, "zoo/new")  # of a tenant that came after they were read
    backup(store, tmp_path / "my.backup", sealed_by=kept)
    restored = restore(tmp_path / "my.backup", other, sealed_by=kept)
    assert [info.key for info in restored] == ["guests", "staff"]
    assert labels_of(other) == {0: "0", 1: "1", 2: "2"}


def test_another_databases_key_of_the_same_version_is_not_its_key(
    store: GalleryStore, other: GalleryStore, tmp_path: Path
) -> None:
    backup(store, tmp_path / "my.backup")
    build(other, "mine")
    with pytest.raises(ConfigError, match=r"sealed by data keys of \(default\) that are not here"):
        restore(tmp_path / "my.backup", other)
    assert restore(tmp_path / "my.backup", other, skip_unreadable=True) == []
    keys = EncryptionStore(store).wrapped_keys()
    assert len(restore(tmp_path / "my.backup", other, sealed_by=keys)) == 2


def test_a_damaged_row_is_no_missing_key(store: GalleryStore, tmp_path: Path) -> None:
    backup(store, tmp_path / "my.backup")
    with raw(tmp_path / "my.backup") as connection:
        connection.execute("UPDATE template SET embedding = x'00' WHERE id = 0")
    with pytest.raises(ConfigError, match=r"^my.backup holds a damaged template"):
        restore(tmp_path / "my.backup", store, replace=True)
