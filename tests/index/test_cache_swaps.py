"""Swapping to a newer index beside searches: nothing is lost, and nothing waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.index.records import Moment, SearchRequest
from serve_app.index.store import GalleryStore
from serve_app.types import Consistency, SearchResult

from .brute_force import every_type
from .keepers import EAGER, Household
from .replicas import INLINE, Replica, add
from .samples import build, embeddings, vectors
from .shots import shoot
from .watched import EVERYONE, Gate, found, labels, labels_of, nearest


@pytest.fixture
def replica(url: str, tmp_path: Path) -> Iterator[Replica]:
    replica = Replica(url, tmp_path / "snapshots")
    yield replica
    replica.close()


@every_type
def test_a_swap_while_searches_go_on_and_changes_come(
    store: GalleryStore, replica: Replica, index_type: str
) -> None:
    build(store, count=40, index_type=index_type)
    expected = labels(*range(40))
    assert replica.people() == expected
    row = shoot(store, replica.storage)
    gate = Gate("swap")
    replica.store.before_page = gate
    assert replica.people() == expected  # begins to swap
    gate.wait()
    for number in range(0, 30, 3):  # the old index answers, and is kept current
        store.remove("staff", [number, number + 1], with_labels=False)
        del expected[number], expected[number + 1]
        late = add(store, f"late {number}", 100 + number)
        expected[late] = f"late {number}"
        assert nearest(replica.cache, vectors(1, seed=100 + number)[0]) == (late, expected[late])
        assert replica.people() == expected
        assert replica.rows[0] == 0
    gate.opened.set()
    replica.cache.wait_for_swaps()
    assert replica.rows == (40, 10, 20)
    assert replica.in_use == index_type
    assert replica.cache._entries["staff"].snapshot == row.name
    assert replica.people() == expected
    store.remove("staff", [32], with_labels=False)
    del expected[32]
    assert replica.people() == expected
    replica.swapped()
    assert replica.store.loads == 1, "the snapshot is read once"


def test_a_change_between_the_last_read_and_the_swap(store: GalleryStore, replica: Replica) -> None:
    """The served index has it, the new one lacks it: it is brought up before it takes over."""
    build(store, count=5)
    replica.people()
    shoot(store, replica.storage)
    gate = Gate("swap")
    replica.store.after_changes = gate
    replica.people()
    gate.wait()
    late = add(store, "late", 50)
    store.remove("staff", [1], with_labels=False)
    expected = {**labels(0, 2, 3, 4), late: "late"}
    assert replica.people() == expected
    replica.store.after_changes = lambda: None
    gate.opened.set()
    replica.cache.wait_for_swaps()
    assert replica.rows[0] == 5
    assert replica.cache.standing_of("staff") == _moment(store)
    replica.store.down = True  # what is in memory now, without another look
    request = SearchRequest("staff", embeddings(1), EVERYONE, Consistency.EVENTUAL)
    assert labels_of(found(replica.cache, request)) == expected


def _moment(store: GalleryStore) -> Moment:
    info = store.describe(["staff"])["staff"]
    return Moment(info.generation, info.seq)


def test_searches_in_threads_during_many_swaps(store: GalleryStore, replica: Replica) -> None:
    build(store, count=30, index_type="HNSW32")
    stop = threading.Event()
    acknowledged: dict[int, str] = labels(*range(30))
    errors: list[BaseException] = []

    def search() -> None:
        try:
            while not stop.is_set():
                least = set(acknowledged)
                assert set(replica.people()) >= least
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(8):
        acknowledged[add(store, str(number), 200 + number)] = str(number)
        shoot(store, replica.storage)
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert errors == []
    replica.swapped()
    replica.swapped()
    assert replica.rows == (38, 0, 0)
    assert replica.people() == acknowledged


def test_a_decayed_gallery_is_read_anew(store: GalleryStore, replica: Replica) -> None:
    """Without a snapshot, when there are more tombstones than templates: they take memory."""
    build(store, count=200)
    replica.people()
    kept = range(150, 200)
    store.remove("staff", range(150), with_labels=False)
    assert replica.people() == labels(*kept)
    assert replica.rows == (0, 200, 150)
    replica.cache.wait_for_swaps()
    assert replica.rows == (0, 50, 0)
    loads = replica.store.loads
    for _ in range(3):
        replica.swapped()
        assert replica.people() == labels(*kept)
    assert replica.store.loads == loads


def test_a_few_tombstones_are_no_decay(store: GalleryStore, replica: Replica) -> None:
    build(store, count=INLINE)
    replica.people()
    store.remove("staff", range(INLINE), with_labels=False)
    replica.swapped()
    assert replica.people() == {}
    assert replica.store.loads == 1


@pytest.mark.parametrize("index_type", ["HNSW32", "IVF", "SQ8", "IVF8,SQ8"])
def test_from_flat_to_its_type_by_a_keeper(
    store: GalleryStore, replica: Replica, tmp_path: Path, index_type: str
) -> None:
    house = Household(store, tmp_path / "snapshots")
    enrolled = build(store, count=400, index_type=index_type)
    assert replica.people() == labels(*range(400))
    assert replica.in_use == "Flat"
    house.keeper(EAGER).look()
    replica.swapped()
    assert replica.in_use == index_type
    assert replica.rows == (400, 0, 0)
    (answer,) = replica.cache.search([SearchRequest("staff", enrolled, 5)])
    assert isinstance(answer, SearchResult)
    hits = [n in {c.template_id for c in row} for n, row in enumerate(answer.candidates)]
    assert sum(hits) > 380
