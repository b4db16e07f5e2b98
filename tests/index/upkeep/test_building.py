"""An index of what is in the store at one seq, however busy it is, and its snapshot: whole or not
at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import GalleryNotFoundError, InvalidRequestError
from serve_app.index.loading import Loader
from serve_app.index.mutations import Drop
from serve_app.index.records import TemplateRows
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep import building
from serve_app.index.upkeep.building import Rows, build_snapshot, read_whole
from serve_app.types import Metric, Shard
from tests.index.brute_force import every_metric, exact, ids_of, nearest
from tests.index.samples import DIMENSION, build, embeddings, vectors
from tests.index.shots import FILES, files_in, full_disk, shoot
from tests.index.watched import WatchedStore

WHOLE = Shard()


@pytest.fixture
def watched(url: str) -> Iterator[WatchedStore]:
    store = WatchedStore(url)
    yield store
    store.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def storage(directory: Path) -> SnapshotStorage:
    return SnapshotStorage(str(directory))


def page_of(ids: range | list[int]) -> TemplateRows:
    every = vectors(100)
    return TemplateRows(list(ids), [f"label {n}" for n in ids], every[list(ids)])


def check(rows: Rows, ids: list[int]) -> None:
    assert rows.ids == ids
    assert [rows.labels[row] for row in range(len(rows.labels))] == [f"label {n}" for n in ids]
    assert np.array_equal(rows.vectors[: len(ids)], vectors(100)[ids])


@pytest.mark.parametrize("reserved", [0, 5, 100])
def test_rows_are_gathered_and_dropped(monkeypatch: pytest.MonkeyPatch, reserved: int) -> None:
    monkeypatch.setattr(building, "PAGE", 3)
    rows = Rows(DIMENSION)
    rows.reserve(reserved)
    for start in range(0, 20, 4):
        rows.append(page_of(range(start, start + 4)))
    rows.append(page_of([]))
    check(rows, list(range(20)))
    rows.drop({99})
    check(rows, list(range(20)))
    rows.drop({0, 1, 7, 19, 50})
    check(rows, [n for n in range(20) if n not in {0, 1, 7, 19}])
    rows.append(page_of([30, 31]))
    rows.drop({30})
    check(rows, [n for n in range(20) if n not in {0, 1, 7, 19}] + [31])
    rows.drop(set(range(100)))
    check(rows, [])


def content(rows: Rows) -> dict[int, str]:
    assert rows.ids == sorted(set(rows.ids)), "each once, as segments want them"
    return {number: rows.labels[row] for row, number in enumerate(rows.ids)}


@pytest.mark.parametrize("page", [1, 3, 4, 100])
def test_changes_between_pages(
    store: GalleryStore, watched: WatchedStore, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(building, "PAGE", page)
    enrolled = build(store, count=12)
    expected = {number: str(number) for number in range(12)}
    steps: Iterator[Callable[[], object]] = iter(
        [
            lambda: store.remove("staff", [0, 11], with_labels=False),
            lambda: store.add("staff", ["12", "13"], embeddings(2, seed=1), with_labels=False),
            lambda: store.remove("staff", [12, 5], with_labels=False),
            lambda: store.add("staff", ["14"], embeddings(1, seed=2), with_labels=False),
        ]
    )
    made: list[int] = []

    def happen(number: int) -> None:
        step = next(steps, None)
        if step is not None:
            step()
            made.append(1)

    watched.before_page = happen
    known = store.describe(["staff"])["staff"]
    progress: list[int] = []
    rows, info = read_whole(watched, known, WHOLE, lambda: progress.append(1))
    gone = [{0, 11}, set(), {12, 5}, set()]
    late = [{}, {12: "12", 13: "13"}, {}, {14: "14"}]
    for number in range(len(made)):
        expected = {**expected, **late[number]}
        expected = {n: label for n, label in expected.items() if n not in gone[number]}
    assert content(rows) == expected
    assert (info.seq, info.size) == (1 + len(made), len(expected))
    assert len(progress) == watched.pages - 1
    for row, number in enumerate(rows.ids):
        if number < 12:
            assert np.array_equal(rows.vectors[row], enrolled.vectors[number])


@pytest.mark.parametrize("what", [lambda s: s.do(Drop("staff")), lambda s: s.prune(0, 0)])
def test_a_gallery_that_goes_or_is_pruned_meanwhile(
    store: GalleryStore, watched: WatchedStore, what: Callable[[GalleryStore], object]
) -> None:
    build(store)

    def happen(number: int) -> None:
        store.remove("staff", [0], with_labels=False)
        what(store)
        watched.before_page = lambda number: None

    watched.before_page = happen
    info = store.describe(["staff"])["staff"]
    with pytest.raises(GalleryNotFoundError, match="replaced or pruned"):
        read_whole(watched, info, WHOLE, lambda: None)


@every_metric
@pytest.mark.parametrize("index_type", ["Flat", "IVF", "HNSW32", "SQ8"])
def test_a_snapshot_of_the_store(
    store: GalleryStore, directory: Path, index_type: str, metric: Metric
) -> None:
    storage = SnapshotStorage(str(directory))
    enrolled = build(store, count=60, index_type=index_type, metric=metric)
    store.remove("staff", [7], with_labels=False)
    row = shoot(store, storage)
    info = store.describe(["staff"])["staff"]
    assert (row.generation, row.shard, row.seq) == (info.generation, WHOLE, 2)
    assert (row.next_id, row.size) == (60, 59)
    assert info.snapshot == row.name
    assert store.snapshots(info.generation, WHOLE) == [row]
    assert storage.names() == [row.name]
    assert files_in(directory) == sorted(FILES)
    with storage.opened(row.name) as (_, manifest):
        assert (manifest.gallery, manifest.index_type) == ("staff", index_type)
        assert (manifest.metric, manifest.size) == (metric, 59)
    loaded = Loader(store, WHOLE, storage).load(info)
    assert loaded.index.sealed_rows == 59
    probes = vectors(20, seed=4)
    live = [n for n in range(60) if n != 7]
    expected = nearest(metric, exact(metric, enrolled.vectors[live], probes), 3)
    found = [ids_of(each) for each in loaded.index.search(probes, 3)]
    if index_type == "SQ8":
        assert np.mean([{live[n] for n in row} == set(f) for row, f in
                        zip(expected.tolist(), found, strict=True)]) > 0.8  # fmt: skip
    else:
        assert found == [[live[n] for n in row] for row in expected.tolist()]


@pytest.mark.parametrize("of", [2, 3])
def test_shards_have_snapshots_of_their_own(
    store: GalleryStore, storage: SnapshotStorage, of: int
) -> None:
    build(store, count=20)
    rows = [shoot(store, storage, shard=Shard(number, of)) for number in range(of)]
    assert sum(row.size for row in rows) == 20
    for number, row in enumerate(rows):
        info = store.describe(["staff"], Shard(number, of))["staff"]
        assert info.snapshot == row.name
        with storage.opened(row.name) as (_, manifest):
            assert (manifest.shard, manifest.shards) == (number, of)
    assert store.describe(["staff"])["staff"].snapshot is None


def test_an_empty_gallery(store: GalleryStore, storage: SnapshotStorage) -> None:
    build(store, count=2, index_type="HNSW32")
    store.remove("staff", [0, 1], with_labels=False)
    assert shoot(store, storage).size == 0


def test_a_gallery_that_goes_before_its_snapshot_is_told(
    store: GalleryStore, storage: SnapshotStorage, directory: Path
) -> None:
    build(store)
    info = store.describe(["staff"])["staff"]

    def progress() -> None:
        if list(directory.rglob("vector.index")):
            store.do(Drop("staff"))

    assert build_snapshot(store, storage, info, WHOLE, threads=1, progress=progress) is None
    assert files_in(directory) == []


class StopError(Exception):
    pass


@pytest.mark.parametrize("number", [1, 2, 3])
def test_progress_may_end_it(
    store: GalleryStore, storage: SnapshotStorage, directory: Path, number: int
) -> None:
    build(store)
    calls: list[int] = []

    def progress() -> None:
        calls.append(1)
        if len(calls) == number:
            raise StopError

    info = store.describe(["staff"])["staff"]
    with pytest.raises(StopError):
        build_snapshot(store, storage, info, WHOLE, threads=1, progress=progress)
    assert list(directory.iterdir()) == []
    assert store.every_snapshot() == []


def test_a_type_that_cannot_be_built(
    store: GalleryStore, storage: SnapshotStorage, directory: Path
) -> None:
    build(store, count=9, index_type="PQ4")
    with pytest.raises(InvalidRequestError, match="needs at least 256 templates, there are 9"):
        shoot(store, storage)
    assert list(directory.iterdir()) == []
    assert store.every_snapshot() == []


@pytest.mark.parametrize("largest", [0, 1000, 4000, 7000, 15_000])
def test_a_disk_that_is_full(
    store: GalleryStore, storage: SnapshotStorage, directory: Path, largest: int
) -> None:
    """At the vectors (6.4 KB), or at the templates beside them (23 KB)."""
    names = ["x" * 100] * 200
    store.create("staff", "Flat", Metric.IP, names, embeddings(200), with_labels=False)
    older = shoot(store, storage)
    info = store.describe(["staff"])["staff"]
    with full_disk(largest), pytest.raises(OSError) as caught:
        build_snapshot(store, storage, info, WHOLE, threads=1)
    name = "vector.index" if largest < 6400 else "templates.npz"
    assert f"{name} can't be written" in str(caught.value)
    assert str(directory) not in str(caught.value)
    assert storage.names() == [older.name]
    assert [path.name for path in directory.iterdir()] == [info.generation]
    assert store.every_snapshot() == [older]
    assert shoot(store, storage).size == 200
