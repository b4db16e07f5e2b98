"""A replica that began before its database was encrypted, on both: of what it can't read it says
so, instead of finding nothing; and it writes nothing plain beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serve_app.errors import UnavailableError
from serve_app.index.mutations import Create, RemoveLabel
from serve_app.index.store import GalleryStore
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.index.store.people_store import PeopleStore
from serve_app.types import Metric
from tests.index.samples import build, embeddings, info_of, labels_of
from tests.index.vaults import new_vault

LOCKED = "encrypted with a key"


@pytest.fixture
def locked(database_url: str) -> Iterator[GalleryStore]:
    locked = GalleryStore(database_url)
    yield locked
    locked.close()


@pytest.fixture
def store(locked: GalleryStore, database_url: str) -> Iterator[GalleryStore]:
    """Encrypted after ``locked`` was opened: it would not open any more."""
    sealed = GalleryStore(database_url, vault=new_vault())
    build(sealed)
    yield sealed
    sealed.close()


def test_a_removal_by_label_is_refused(store: GalleryStore, locked: GalleryStore) -> None:
    (told,) = locked.apply([RemoveLabel("staff", "1")])
    assert isinstance(told, UnavailableError)
    assert LOCKED in str(told)
    assert labels_of(store) == {0: "0", 1: "1", 2: "2"}


def test_an_erasure_says_where_it_failed(store: GalleryStore, locked: GalleryStore) -> None:
    told = PeopleStore(locked).erase("", "1")
    assert (told.erased, told.failed) == ([], {"staff": UnavailableError.code})
    assert labels_of(store) == {0: "0", 1: "1", 2: "2"}


def test_a_label_is_not_said_to_be_nobodys(store: GalleryStore, locked: GalleryStore) -> None:
    with pytest.raises(UnavailableError, match=LOCKED):
        locked.templates(info_of(store), "1", -1, 10)


def test_nothing_plain_is_written(store: GalleryStore, locked: GalleryStore) -> None:
    new = Create("acme/staff", "Flat", Metric.IP, ["x"], embeddings(1))
    (told,) = locked.apply([new])
    assert isinstance(told, UnavailableError)
    with pytest.raises(UnavailableError, match=LOCKED):
        locked.add("staff", ["x"], embeddings(1), with_labels=False)
    assert EncryptionStore(store).state("").rows == {1: 3}
    assert EncryptionStore(store).state("acme").rows == {}
