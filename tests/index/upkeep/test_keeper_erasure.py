"""What was removed leaves the snapshots in time, whatever fails; what nobody needs goes, too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.index.cache import GalleryCache
from serve_app.index.erasure.scanning import Marks, scan
from serve_app.index.loading import Loader
from serve_app.index.mutations import Drop, Optimize, RemoveLabel
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep import keeper
from serve_app.index.upkeep.keeper import Housekeeping
from serve_app.types import Embeddings, Shard
from tests.index.keepers import EAGER, Household
from tests.index.samples import MODEL, build, vectors
from tests.index.shots import FILES, files_in, shoot
from tests.index.watched import people

WITHIN_S = 2.0
SOON = replace(EAGER, erase_within_s=WITHIN_S)
SLACK_S = 1.5
"""Of a busy machine, beside ``interval_s`` of the keeper."""
MARKS = Marks(["erase-me-0123456789abcdef"], vectors(1, seed=77))


@pytest.fixture
def house(store: GalleryStore, tmp_path: Path) -> Household:
    house = Household(store, tmp_path / "snapshots")
    build(store, count=20)
    store.add("staff", MARKS.labels, Embeddings(MODEL, MARKS.vectors), with_labels=False)
    return house


def is_held(house: Household) -> bool:
    return not scan([house.directory], MARKS).clean


def gone_after_s(house: Household, limit_s: float = WITHIN_S + SLACK_S) -> float:
    """Seconds until no file holds the marks. Fails after ``limit_s``."""
    begun = time.monotonic()
    while is_held(house):
        assert time.monotonic() - begun < limit_s, "a snapshot holds what was removed for too long"
        time.sleep(0.02)
    return time.monotonic() - begun


def planted(house: Household) -> None:
    deadline = time.monotonic() + 20
    while not (is_held(house) and house.store.every_snapshot()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_clean_snapshot_is_built_in_time(house: Household) -> None:
    with house.running(SOON):
        planted(house)
        assert house.store.do(RemoveLabel("staff", MARKS.labels[0])).ids == [20]
        gone_after_s(house)
        names = house.storage.names()
    assert [row.name for row in house.store.every_snapshot()] == names
    assert len(names) == 1, "a clean one has taken its place"
    cache = GalleryCache(house.store, None, Loader(house.store, Shard(), house.storage))
    assert people(cache) == {number: str(number) for number in range(20)}
    cache.close()


def test_it_goes_where_no_index_can_be_built(house: Household) -> None:
    """Also without a clean one: searches read the store instead."""
    with house.running(SOON):
        planted(house)
        house.builds.complaint = "it can't be built"
        house.store.remove("staff", [20], with_labels=False)
        seconds = gone_after_s(house)
    assert seconds > WITHIN_S / 2
    assert house.storage.names() == []
    assert house.store.every_snapshot() == []


def test_no_process_can_be_started(house: Household) -> None:
    with house.running(SOON):
        planted(house)

        def fails() -> None:
            raise OSError(12, "Cannot allocate memory")

        house.builds.meanwhile = fails
        house.store.remove("staff", [20], with_labels=False)
        gone_after_s(house)


def test_older_ones_go_with_the_build(house: Household) -> None:
    upkeep = house.keeper()
    upkeep.look()
    house.store.add("staff", ["x"], Embeddings(MODEL, vectors(1)), with_labels=False)
    house.store.do(Optimize("staff"))
    upkeep.look()
    assert len(house.storage.names()) == 2
    house.store.remove("staff", [20], with_labels=False)
    upkeep.look()
    assert len(house.storage.names()) == 2, "the time has not come"
    house.store.do(Optimize("staff"))
    upkeep.look()
    assert len(house.storage.names()) == 1
    assert not is_held(house)


@pytest.mark.parametrize("what", ["drop", "other shards", "forgotten", "torn"])
def test_others_that_hold_it_go_in_time(house: Household, what: str) -> None:
    """Of a gallery that was dropped, of another number of shards, refused by a loader, or without
    a manifest."""
    if what == "other shards":
        shoot(house.store, house.storage, shard=Shard(0, 3))
        shoot(house.store, house.storage, shard=Shard(2, 3))
    row = shoot(house.store, house.storage)
    assert is_held(house)
    house.store.remove("staff", [20], with_labels=False)
    if what == "drop":
        house.store.do(Drop("staff"))
    if what in ("forgotten", "torn"):
        house.store.forget(row.name)
    if what == "torn":
        (house.directory / row.name / "manifest.json").unlink()
    with house.running(SOON):
        gone_after_s(house)
        assert {each.shard.of for each in house.store.every_snapshot()} <= {1}


def test_leftovers_of_a_killed_builder_go_in_time(house: Household) -> None:
    house.store.remove("staff", [20], with_labels=False)
    workspace = house.storage.workspace()
    (workspace.__enter__() / "vector.index").write_bytes(MARKS.vectors.tobytes())
    assert is_held(house)
    with house.running(SOON):
        gone_after_s(house)


def test_pruning_is_as_often_as_erasure_needs(house: Household) -> None:
    """Whatever its own interval is."""
    seldom = Housekeeping(interval_s=0.05, prune_every_s=3600)
    upkeep = house.keeper(replace(SOON, exact_until=10**6), housekeeping=seldom)
    upkeep.look()
    row = shoot(house.store, house.storage)
    house.store.do(Drop("staff"))
    house.builds.meanwhile = lambda: None
    begun = time.monotonic()
    while house.storage.names():
        upkeep.look()
        assert time.monotonic() - begun < WITHIN_S + SLACK_S
        time.sleep(0.05)
    assert not (house.directory / row.name).exists()


def test_what_may_be_being_made_stays(house: Household) -> None:
    """Files of the last hours that no database knows: they may be about to be told of."""
    row = shoot(house.store, house.storage)
    house.store.forget(row.name)
    workspace = house.storage.workspace()
    workspace.__enter__()
    house.keeper(replace(EAGER, exact_until=10**6)).look()
    assert house.storage.names() == [row.name]
    assert len(list(house.directory.iterdir())) == 2
    _age(house.directory, keeper.UNFINISHED_S + 10)
    lasting = replace(EAGER, exact_until=10**6, erase_within_s=10**9)
    house.keeper(lasting).look()
    assert list(house.directory.iterdir()) == []
    workspace.__exit__(None, None, None)


def _age(directory: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in [*directory.rglob("*"), *directory.iterdir()]:
        os.utime(path, (then, then))


def test_dropped_galleries_leave_the_others_alone(house: Household) -> None:
    build(house.store, "guests", 5)
    upkeep = house.keeper(SOON)
    upkeep.look()
    assert len(house.storage.names()) == 2
    house.store.do(Drop("staff"))
    time.sleep(WITHIN_S / 2 + 0.1)
    upkeep.look()
    (left,) = house.storage.names()
    assert left.startswith(house.store.describe(["guests"])["guests"].generation)
    assert files_in(house.directory) == sorted(FILES)


def test_tidy_and_prune_are_called_in_turn(house: Household) -> None:
    calls: list[str] = []
    prune = house.store.prune

    def pruned(answers_s: float, tombstones: int) -> None:
        calls.append(f"prune {answers_s:g} {tombstones}")
        prune(answers_s, tombstones)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.store, "prune", pruned)
        upkeep = house.keeper(
            housekeeping=Housekeeping(5, prune_every_s=600, answers_s=7, tombstones=3),
            tidy=lambda: calls.append("tidy"),
        )
        upkeep.look()
        upkeep.look()
    assert calls == ["prune 7 3", "tidy"]


def _refuse(what: str) -> Callable[[str], None]:
    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied", f"/secret/{what}")

    return refuse


def test_one_that_cannot_be_removed_holds_up_no_other(
    house: Household, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build(house.store, "zoo", 5)
    upkeep = house.keeper(replace(EAGER, keep=1))
    upkeep.look()
    for key in ("staff", "zoo"):
        house.store.add(key, ["x"], Embeddings(MODEL, vectors(1)), with_labels=False)
        house.store.do(Optimize(key))
    generation = house.store.describe(["staff"])["staff"].generation
    remove = house.storage.remove

    def refuse(name: str) -> None:
        (_refuse("staff") if name.startswith(generation) else remove)(name)

    with monkeypatch.context() as patch:
        patch.setattr(house.storage, "remove", refuse)
        upkeep.look()
    assert house.builds.keys == ["staff", "zoo"] * 2
    assert len(house.storage.names()) == 3
    assert "broke off: PermissionError" in caplog.text
    assert "secret" not in caplog.text
    upkeep.look()
    assert len(house.storage.names()) == 2
