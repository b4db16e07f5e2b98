"""Who may use which data key, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from serve_app.errors import GalleryNotFoundError, InvalidRequestError, UnavailableError
from serve_app.index.mutations import Create
from serve_app.index.store import GalleryStore
from serve_app.index.store.data_keys import opening, present, sealing, wrapped
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.types import Metric, Receipt
from tests.index.samples import build, embeddings, labels_of
from tests.index.vaults import new_vault


@pytest.fixture
def store(database_url: str) -> Iterator[GalleryStore]:
    store = GalleryStore(database_url, vault=new_vault())
    yield store
    store.close()


def test_a_tenants_first_write_makes_its_key(store: GalleryStore) -> None:
    assert EncryptionStore(store).wrapped_keys() == []
    build(store, "acme/staff")
    build(store, "acme/guests")
    build(store, "staff")
    assert [(key.tenant, key.version) for key in EncryptionStore(store).wrapped_keys()] == [
        ("", 1),
        ("acme", 1),
    ]


def test_two_first_writers_make_one(database_url: str) -> None:
    stores = [GalleryStore(database_url, vault=new_vault()) for _ in range(2)]
    together = threading.Barrier(2)

    def write(number: int) -> None:
        together.wait()
        build(stores[number], f"acme/{number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(EncryptionStore(stores[0]).wrapped_keys()) == 1
    for number, store in enumerate(reversed(stores)):
        assert labels_of(store, f"acme/{1 - number}") == {0: "0", 1: "1", 2: "2"}
        store.close()


def test_a_write_that_is_taken_back_leaves_no_key_that_only_this_process_knows(
    store: GalleryStore, database_url: str
) -> None:
    """Its memory would stand before the key that others make instead."""

    def stumble(connection: Connection) -> None:
        sealing(connection, "acme")
        raise GalleryNotFoundError("after it was sealed")

    with pytest.raises(GalleryNotFoundError):
        store.transactions.write(stumble)
    other = GalleryStore(database_url, vault=new_vault())
    build(other, "acme/staff")
    other.close()
    assert labels_of(store, "acme/staff") == {0: "0", 1: "1", 2: "2"}


def test_an_erased_tenant_fails_alone_among_others(store: GalleryStore) -> None:
    build(store, "acme/staff")
    build(store, "staff")
    EncryptionStore(store).erase_keys("acme")
    asked = [
        Create(key, "Flat", Metric.IP, ["x"], embeddings(1)) for key in ("acme/new", "new/staff")
    ]
    refused, made = store.apply(asked)
    assert isinstance(refused, InvalidRequestError)
    assert isinstance(made, Receipt)


def test_an_erased_tenant_gets_no_key(store: GalleryStore) -> None:
    EncryptionStore(store).erase_keys("acme")
    with pytest.raises(InvalidRequestError, match="acme was erased"):
        store.transactions.write(lambda connection: sealing(connection, "acme"))
    assert EncryptionStore(store).wrapped_keys() == []


def test_where_nothing_is_encrypted_there_are_no_keys(database_url: str) -> None:
    plain = GalleryStore(database_url)
    assert plain.transactions.write(lambda connection: sealing(connection, "acme")) is None
    assert plain.transactions.read(lambda connection: present(connection, "acme")) is None
    with pytest.raises(UnavailableError, match="encrypted with a key"):
        plain.transactions.query(lambda connection: opening(connection, "acme", 1))
    assert plain.transactions.query(wrapped) == []
    plain.close()
