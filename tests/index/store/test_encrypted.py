"""A database is opened with the keys that it was encrypted with, or not at all."""

from __future__ import annotations

import pytest

from serve_app.errors import ConfigError
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore
from tests.index.samples import build, labels_of
from tests.index.vaults import MASTER, OTHER, new_vault


@pytest.fixture
def url(database_url: str) -> str:
    """Of an encrypted database."""
    store = GalleryStore(database_url, vault=new_vault())
    build(store)
    store.close()
    return database_url


def test_without_a_master_key(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is encrypted, and .* names no master key"):
        GalleryStore(url)


def test_with_another_master_key(url: str) -> None:
    wrong = new_vault(OTHER)
    with pytest.raises(ConfigError) as raised:
        GalleryStore(url, vault=wrong)
    message = str(raised.value)
    assert new_vault().master.first.id in message
    assert MASTER not in message
    right = GalleryStore(url, vault=new_vault())
    assert len(EncryptionStore(right).wrapped_keys()) == 1  # none was made beside it
    assert labels_of(right) == {0: "0", 1: "1", 2: "2"}
    right.close()


def test_with_both(url: str) -> None:
    store = GalleryStore(url, vault=new_vault(OTHER, MASTER))
    assert labels_of(store) == {0: "0", 1: "1", 2: "2"}
    store.close()
