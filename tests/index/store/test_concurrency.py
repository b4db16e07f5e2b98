"""Many threads and processes on one store: nothing lost, nothing twice, nothing seen by halves."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serve_app.errors import GalleryExistsError
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, IndexType, Metric
from tests.index.samples import build, embeddings, rows
from tests.index.writer import writers

THREADS = 8
ADDS = 12


def live(store: GalleryStore) -> tuple[GalleryInfo, dict[int, str]]:
    staff = store.describe(["staff"])["staff"]
    page = store.page(staff, -1, 10_000)
    return staff, dict(zip(page.ids, page.labels, strict=True))


@pytest.mark.usefixtures("journal")
def test_threads_add(url: str) -> None:
    store = GalleryStore(url)
    build(store, count=0)

    def add(thread: int) -> dict[int, str]:
        enrolled: dict[int, str] = {}
        for number in range(ADDS):
            label = f"{thread}-{number}"
            receipt = store.add("staff", [label, label], embeddings(2), with_labels=False)
            enrolled |= dict.fromkeys(receipt.ids, label)
        return enrolled

    with ThreadPoolExecutor(THREADS) as pool:
        acknowledged = [pair for part in pool.map(add, range(THREADS)) for pair in part.items()]
    assert sorted(number for number, _ in acknowledged) == list(range(2 * THREADS * ADDS))
    staff, stored = live(store)
    assert stored == dict(acknowledged)
    assert staff.seq == 1 + THREADS * ADDS
    store.close()


def test_processes_add(url: str, file: Path) -> None:
    with writers(4, url, "add", "staff", str(ADDS)) as processes:
        for process in processes:
            process.release()
        said = [process.finish() for process in processes]
    # One of them created the gallery, in a file that all found new.
    assert sum("exists" in lines for lines in said) == 3
    acknowledged = {
        json.loads(line)[0]: f"{name}-{number}"
        for name, lines in enumerate(said)
        for number, line in enumerate(line for line in lines if line != "exists")
    }
    assert sorted(acknowledged) == list(range(4 * ADDS))
    assert dict(rows(file, "SELECT id, label FROM template")) == acknowledged
    assert rows(file, "SELECT next_id, size, seq FROM gallery") == [(48, 48, 49)]


def test_one_of_many_creates(store: GalleryStore) -> None:
    def create(thread: int) -> str | None:
        try:
            store.create(
                "staff", IndexType.FLAT, Metric.IP, [str(thread)], embeddings(1), with_labels=False
            )
        except GalleryExistsError:
            return None
        return str(thread)

    with ThreadPoolExecutor(THREADS) as pool:
        created = [label for label in pool.map(create, range(THREADS)) if label is not None]
    assert len(created) == 1
    assert live(store)[1] == {0: created[0]}


def test_everyone_removes_the_same(store: GalleryStore) -> None:
    build(store, count=40)

    def remove(_: int) -> list[int]:
        return store.remove("staff", range(40), with_labels=False).ids

    with ThreadPoolExecutor(THREADS) as pool:
        removed = [number for ids in pool.map(remove, range(THREADS)) for number in ids]
    assert removed == list(range(40))


@pytest.mark.usefixtures("journal")
def test_readers_see_whole_mutations_only(url: str) -> None:
    """A writer adds three templates with the same label, and removes them together later. Whatever
    a reader is told must be the state after some seq, and that seq must be the one it is told."""
    store, other = GalleryStore(url), GalleryStore(url)
    build(store, count=0)
    base = store.describe(["staff"])["staff"]
    states: dict[int, set[str]] = {1: set()}
    done = threading.Event()

    def write() -> None:
        enrolled: dict[str, list[int]] = {}
        for number in range(60):
            seq, label = number + 2, str(number)
            if number % 3 == 2:
                gone, ids = enrolled.popitem()
                states[seq] = states[seq - 1] - {gone}
                store.remove("staff", ids, with_labels=False)
            else:
                states[seq] = states[seq - 1] | {label}
                added = store.add("staff", [label] * 3, embeddings(3), with_labels=True)
                enrolled[label] = added.ids
                assert added.labels is not None
                assert_whole(list(added.labels.values()), seq)
        done.set()

    def assert_whole(labels: list[str], seq: int) -> None:
        counts = Counter(labels)
        assert set(counts.values()) <= {3}
        assert counts.keys() == states[seq]

    def read(reader: GalleryStore) -> int:
        seen = set()
        while not done.is_set():
            known = reader.changes(base)
            assert known is not None
            assert_whole(known.added.labels, known.info.seq)
            seen.add(known.info.seq)
            time.sleep(0.002)  # readers without a pause would starve the writer
        return len(seen)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, reader) for reader in (store, other, other)]
        writer = pool.submit(write)
        try:
            writer.result(timeout=60)
        finally:
            done.set()
        assert max(reader.result() for reader in readers) > 3
    store.close()
    other.close()
