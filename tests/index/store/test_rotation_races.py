"""Writers that wait while a tenant gets a new data key, on both databases: what they seal is by the
new one, what they look for is found, and no key is deleted that anything is sealed by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from serve_app.encryption import Vault
from serve_app.index.mutations import RemoveLabel
from serve_app.index.store import GalleryStore, data_keys, resealing
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.types import Receipt
from tests.index.samples import build, embeddings, labels_of
from tests.index.vaults import new_vault

Result = TypeVar("Result")

WAIT_S = 0.3
"""By then whoever was started has asked for the lock."""


@pytest.fixture
def stores(database_url: str) -> Iterator[list[GalleryStore]]:
    """A writer's and a rotation's: processes of their own."""
    stores = [GalleryStore(database_url, vault=new_vault()) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


def behind(
    rotator: GalleryStore, change: Callable[[Connection], object], then: Callable[[], Result]
) -> Result:
    """``then`` begins while ``change`` is made and not yet committed."""
    changed = threading.Event()

    def work(connection: Connection) -> None:
        change(connection)
        changed.set()
        threading.Event().wait(WAIT_S)

    with ThreadPoolExecutor() as pool:
        rotation = pool.submit(rotator.transactions.write, work)
        assert changed.wait(10)
        told = pool.submit(then).result(20)
        rotation.result(20)
    return told


def second_key(connection: Connection) -> None:
    data_keys.lock(connection)
    data_keys.hold(connection, "")
    data_keys.add(connection, "", 2)


def test_a_writer_that_waited_for_a_new_key_seals_by_it(stores: list[GalleryStore]) -> None:
    writer, rotator = stores
    build(writer)
    behind(
        rotator,
        second_key,
        lambda: writer.add("staff", ["late"], embeddings(1), with_labels=False),
    )
    assert EncryptionStore(rotator).state("").rows == {1: 3, 2: 1}


def test_a_removal_by_label_that_waited_for_a_new_key_misses_nothing(
    stores: list[GalleryStore],
) -> None:
    writer, rotator = stores
    build(writer)
    generation = writer.transactions.read(
        lambda connection: resealing.generations(connection, "")[0][1]
    )

    def rotate(connection: Connection) -> None:
        second_key(connection)
        resealing.templates(connection, "staff", generation, -1)

    (told,) = behind(rotator, rotate, lambda: writer.apply([RemoveLabel("staff", "1")]))
    assert isinstance(told, Receipt)
    assert told.count == 2
    assert labels_of(rotator) == {0: "0", 2: "2"}


def test_a_key_that_something_was_sealed_by_meanwhile_stays(
    stores: list[GalleryStore], database_url: str
) -> None:
    store, rotator = stores
    build(store)
    first = EncryptionStore(store).wrapped_keys()
    late = GalleryStore(database_url, vault=Vault(new_vault().master, fixed=first))

    def meanwhile(_: float) -> None:
        late.add("staff", ["late"], embeddings(1), with_labels=False)

    EncryptionStore(rotator).new_version("")
    EncryptionStore(rotator).reseal("")
    assert EncryptionStore(rotator, pause=meanwhile).retire("") == []
    late.close()
    assert labels_of(rotator) == {0: "0", 1: "1", 2: "2", 3: "late"}
