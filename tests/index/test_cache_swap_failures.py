"""Swaps that fail do no harm: the old index stays, and all of the gallery is served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import UnavailableError
from serve_app.index import cache as cache_module
from serve_app.index.mutations import Drop
from serve_app.index.store import GalleryStore

from .keepers import EAGER, Household
from .replicas import Replica, add
from .samples import build
from .shots import shoot
from .watched import Gate, labels, nearest


@pytest.fixture
def replica(url: str, tmp_path: Path) -> Iterator[Replica]:
    replica = Replica(url, tmp_path / "snapshots")
    yield replica
    replica.close()


@pytest.mark.parametrize("torn", ["vector.index", "templates.npz", "manifest.json"])
def test_a_bad_snapshot_leaves_the_old_index(
    store: GalleryStore, replica: Replica, tmp_path: Path, torn: str
) -> None:
    """All of the gallery is served all the time; nothing is read again and again."""
    build(store, count=9)
    replica.people()
    good = shoot(store, replica.storage)
    replica.swapped()
    assert replica.rows == (9, 0, 0)
    add(store, "9", 9)
    bad = shoot(store, replica.storage)
    file = tmp_path / "snapshots" / bad.name / torn
    file.write_bytes(file.read_bytes()[:-1])
    expected = labels(*range(10))
    loads = replica.store.loads
    for _ in range(4):
        assert replica.people() == expected
        replica.cache.wait_for_swaps()
    assert replica.cache._entries["staff"].snapshot == good.name
    assert [row.name for row in store.every_snapshot()] == [good.name]
    assert replica.store.loads == loads, "no gallery is read from its first page"


def test_after_a_torn_one_the_older_is_not_read_twice(
    store: GalleryStore, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store, count=9)
    good = shoot(store, replica.storage)
    add(store, "9", 9)
    bad = shoot(store, replica.storage)
    (tmp_path / "snapshots" / bad.name / "manifest.json").unlink()
    assert replica.people() == labels(*range(10))
    pages = replica.store.pages
    for _ in range(3):
        replica.swapped()
    assert replica.cache._entries["staff"].snapshot == good.name
    assert replica.store.pages == pages


@pytest.mark.parametrize("retry_s", [3600.0, 0.0])
@pytest.mark.parametrize("error", [UnavailableError("no"), MemoryError("secret of the machine")])
def test_a_swap_that_fails(
    store: GalleryStore,
    replica: Replica,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    retry_s: float,
    error: Exception,
) -> None:
    """Searches go on with what there is. Not each of them may read the whole gallery in vain."""
    caplog.set_level(logging.WARNING, logger="serve_app")
    monkeypatch.setattr(cache_module, "SWAP_RETRY_S", retry_s)
    build(store, count=9)
    replica.people()
    shoot(store, replica.storage)
    tries: list[int] = []

    def fail(_: int) -> None:
        if threading.current_thread().name.startswith("swap"):
            tries.append(1)
            raise error

    replica.store.before_page = fail
    for _ in range(5):
        assert replica.people() == labels(*range(9))
        replica.cache.wait_for_swaps()
    assert len(tries) == (1 if retry_s else 5)
    assert f"loading a newer index failed: {type(error).__name__}" in caplog.text
    assert "secret" not in caplog.text

    replica.store.before_page = lambda number: None
    replica.swapped()
    assert replica.rows[0] == (0 if retry_s else 9)  # it comes back when its time has come
    assert replica.people() == labels(*range(9))


def test_a_history_that_was_pruned_before_the_swap(store: GalleryStore, replica: Replica) -> None:
    """The new index can't be brought up: the old one stays, and the next try succeeds."""
    build(store, count=9)
    replica.people()
    shoot(store, replica.storage)
    gate = Gate("swap")
    replica.store.after_changes = gate
    replica.people()
    gate.wait()
    store.remove("staff", [3], with_labels=False)
    expected = labels(0, 1, 2, *range(4, 9))
    assert replica.people() == expected
    store.prune(0, 0)
    replica.store.after_changes = lambda: None
    gate.opened.set()
    replica.cache.wait_for_swaps()
    assert replica.rows == (0, 9, 1)
    assert replica.people() == expected
    replica.cache.wait_for_swaps()
    shoot(store, replica.storage)
    replica.swapped()
    assert replica.people() == expected
    assert replica.rows == (8, 0, 0)


def test_a_gallery_replaced_during_a_swap(store: GalleryStore, replica: Replica) -> None:
    build(store, count=9)
    replica.people()
    shoot(store, replica.storage)
    gate = Gate("swap")
    replica.store.after_changes = gate
    replica.people()
    gate.wait()
    store.do(Drop("staff"))
    build(store, count=4)
    assert replica.people() == labels(*range(4))
    gate.opened.set()
    replica.cache.wait_for_swaps()
    assert replica.people() == labels(*range(4))
    assert replica.rows == (0, 4, 0)


def test_a_type_that_fails_to_build_stays_exact(
    store: GalleryStore, replica: Replica, tmp_path: Path
) -> None:
    house = Household(store, tmp_path / "snapshots")
    enrolled = build(store, count=40, index_type="PQ4")
    upkeep = house.keeper(EAGER)
    for _ in range(2):
        upkeep.look()
        replica.swapped()
    assert house.builds.keys == ["staff"]
    assert replica.in_use == "Flat"
    assert replica.people() == labels(*range(40))
    for number in (0, 39):
        assert nearest(replica.cache, enrolled.vectors[number])[0] == number
