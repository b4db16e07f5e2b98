"""The proof of erasure: clean where it is clean, and it finds every kind of rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from serve_app.errors import GalleryNotFoundError
from serve_app.index.erasure.check import PREFIX, TEMPLATES, EraseCheck
from serve_app.index.mutations import Drop
from serve_app.index.records import SnapshotRow
from serve_app.index.store import GalleryStore
from serve_app.types import Receipt, Shard
from tests.index.databases import both, new_url
from tests.index.samples import build


class Keeper:
    """Stands in for a service: a snapshot is a file with all labels. ``look`` at each pause."""

    def __init__(self, store: GalleryStore, directory: Path, shards: int = 1) -> None:
        self._store = store
        self._directory = directory
        self._shards = shards
        self.sloppy = False
        self.build()

    def build(self) -> None:
        info = self._store.describe(["staff"])["staff"]
        for number in range(self._shards):
            shard = Shard(number, self._shards)
            name = f"{info.generation}/{shard.of}-{number}/{info.seq:020d}-00"
            file = self._directory / name
            if file.exists():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(self._store.page(info, -1, 1000, shard).labels), "utf-8")
            row = SnapshotRow(name, info.generation, shard, info.seq, info.next_id, info.size,
                              time.time())  # fmt: skip
            self._store.register(row)

    def look(self, _: float) -> None:
        for shard in (Shard(number, self._shards) for number in range(self._shards)):
            for standing in self._store.standings(shard, 0):
                if standing.snapshot and standing.wanted_seq > standing.snapshot.seq:
                    self.build()
                for old in self._store.snapshots(standing.info.generation, shard)[1:]:
                    if old.seq < standing.removed_seq:
                        self._store.forget(old.name)
                        if not self.sloppy:
                            (self._directory / old.name).unlink()


@contextmanager
def watched_labels(store: GalleryStore, then: Callable[[list[str]], object]) -> Iterator[None]:
    """While it lasts, ``then`` is told of the labels that are added, just after."""
    add = store.add

    def watched(key: str, labels: list[str], *rest: Any, **options: Any) -> Receipt:
        receipt = add(key, labels, *rest, **options)
        then(labels)
        return receipt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "add", watched)
        yield


def never(_: float) -> None:
    time.sleep(0.01)


def test_without_snapshots(journal: str, url: str, file: Path) -> None:
    store = GalleryStore(url)
    build(store)
    outcome = EraseCheck(store, "staff", pause=never).run([file.parent], wait_s=0)
    assert outcome.report.clean
    assert outcome.report.files >= 1
    assert (outcome.snapshots, outcome.rewritten) == (False, True)
    info = store.describe(["staff"])["staff"]
    assert (info.size, info.next_id) == (3, 3 + TEMPLATES)
    store.close()


@pytest.mark.parametrize("shards", [1, 3])
def test_snapshots_are_waited_for(shards: int, store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    keeper = Keeper(store, tmp_path, shards)
    held: list[bool] = []

    def look(seconds: float) -> None:
        keeper.look(seconds)
        held.append(any(PREFIX in path.read_text("utf-8") for path in tmp_path.rglob("*-00")))

    outcome = EraseCheck(store, "staff", pause=look).run([tmp_path], wait_s=20)
    assert outcome.report.clean
    assert (outcome.snapshots, outcome.built, outcome.rewritten) == (True, True, True)
    assert any(held)  # else nothing was proved


def test_a_snapshot_that_is_left_behind_is_found(store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    keeper = Keeper(store, tmp_path)
    keeper.sloppy = True
    outcome = EraseCheck(store, "staff", pause=keeper.look).run([tmp_path], wait_s=0.5)
    assert outcome.rewritten
    assert list(outcome.report.found.values()) == [["label"]]


def test_nobody_rewrites_the_snapshots(store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    Keeper(store, tmp_path)
    outcome = EraseCheck(store, "staff", pause=never).run([tmp_path], wait_s=0.1)
    assert (outcome.snapshots, outcome.built, outcome.rewritten) == (True, False, False)


def test_a_file_that_is_cleaned_a_moment_later(store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    kept = tmp_path / "kept"
    check = EraseCheck(store, "staff", pause=lambda _: kept.unlink(missing_ok=True))
    with watched_labels(store, lambda labels: kept.write_text("".join(labels), "utf-8")):
        assert check.run([tmp_path], wait_s=10).report.clean


def test_a_backup_that_was_taken_meanwhile(store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    kept = tmp_path / "kept"
    with watched_labels(store, lambda labels: kept.write_text("".join(labels), "utf-8")):
        outcome = EraseCheck(store, "staff", pause=never).run([tmp_path], wait_s=0)
    assert outcome.report.found == {kept: ["label"]}


def test_secure_delete_is_what_makes_it_clean(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check itself is checked: without it, SQLite leaves the marks in its free pages."""
    store = GalleryStore(url)
    store._engine.dispose()  # connections from here on are told otherwise
    event.listen(
        store._engine, "connect", lambda connection, _: connection.execute("PRAGMA secure_delete=0")
    )
    build(store)
    outcome = EraseCheck(store, "staff", pause=never).run([file], wait_s=0)
    assert outcome.report.found == {file: ["embedding", "label"]}
    store.close()


@both
def test_nothing_of_it_is_left_in_the_gallery(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = GalleryStore(new_url(database, request, tmp_path))
    build(store)
    EraseCheck(store, "staff", pause=never).run([], wait_s=0)
    info = store.describe(["staff"])["staff"]
    assert store.page(info, -1, 100).ids == [0, 1, 2]
    with pytest.raises(GalleryNotFoundError):
        EraseCheck(store, "nobody", pause=never).run([], wait_s=0)
    store.close()


def test_it_removes_nothing_of_a_gallery_that_was_built_anew(
    store: GalleryStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store)

    def replace(labels: list[str]) -> None:
        store.do(Drop("staff"))
        build(store, count=9)

    with watched_labels(store, replace):
        EraseCheck(store, "staff", pause=never).run([file.parent], wait_s=0)
    assert store.describe(["staff"])["staff"].size == 9
