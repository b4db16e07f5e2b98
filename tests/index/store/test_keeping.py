"""The store's face for upkeep; what its methods do is in ``test_upkeep``."""

from __future__ import annotations

from serve_app.index.store import GalleryStore
from serve_app.index.store.keeping import Keeping


def test_leases_by_their_names_beginning(any_store: GalleryStore) -> None:
    for name in ("replica/b", "replica/a", "replicas", "warm/x/replica/c", "replica%"):
        assert any_store.take_lease(name, "me", 60)
    any_store.take_lease("replica/gone", "me", -1)
    assert any_store.leases("replica/") == ["replica/a", "replica/b"]
    assert any_store.leases("warm/x/") == ["warm/x/replica/c"]
    assert any_store.leases("replica%") == ["replica%"]
    assert any_store.leases("replica_") == []
    any_store.give_back_lease("replica/a", "me")
    assert any_store.leases("replica/") == ["replica/b"]
    assert any_store.leases("publishing/") == []


def test_it_is_a_part_of_the_store(any_store: GalleryStore) -> None:
    assert isinstance(any_store, Keeping)
