"""Who builds what, and when: once, not in vain, and one gallery's trouble is no other's."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.index.mutations import Optimize
from serve_app.index.records import Standing
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep import builder, keeper
from serve_app.index.upkeep.builder import BuildOrder
from serve_app.index.upkeep.keeper import Keeper
from serve_app.types import Shard
from tests.index.keepers import EAGER, OFTEN, Household, Process, running
from tests.index.samples import build, embeddings
from tests.index.shots import files_in

WHOLE = Shard()


@pytest.fixture
def house(store: GalleryStore, tmp_path: Path) -> Household:
    return Household(store, tmp_path / "snapshots")


def seqs(house: Household, key: str = "staff", shard: Shard = WHOLE) -> list[int]:
    """Of a gallery's snapshots, newest first, as the store knows them."""
    info = house.store.describe([key])[key]
    return [row.seq for row in house.store.snapshots(info.generation, shard)]


def lease_of(house: Household, key: str = "staff") -> str:
    return f"build/{house.store.describe([key])[key].generation}/1-0"


def test_it_builds_when_the_rules_say_so(house: Household) -> None:
    rules = replace(EAGER, exact_until=10)
    build(house.store, count=9)
    upkeep = house.keeper(rules)
    upkeep.look()
    assert house.builds.orders == []
    house.store.add("staff", ["x"], embeddings(1), with_labels=False)
    upkeep.look()
    generation = house.store.describe(["staff"])["staff"].generation
    order = BuildOrder("database", "snapshots", "staff", generation, 0, 1, 1)
    assert house.builds.orders == [order]
    upkeep.look()
    house.store.add("staff", ["x"] * 500, embeddings(500), with_labels=False)
    upkeep.look()
    assert house.builds.orders == [order]
    house.store.do(Optimize("staff"))
    upkeep.look()
    upkeep.look()
    assert house.builds.orders == [order] * 2
    assert seqs(house) == [3, 2]
    house.store.add("staff", ["x"] * 1600, embeddings(1600), with_labels=False)
    upkeep.look()
    assert seqs(house) == [4, 3], "no more are kept than the rules say"
    assert len(house.storage.names()) == 2
    assert len(files_in(house.directory)) == 6


def test_each_shard_has_its_own(house: Household) -> None:
    build(house.store, count=9)
    for number in range(2):
        house.keeper(shard=Shard(number, 2)).look()
    assert [(order.shard, order.shards) for order in house.builds.orders] == [(0, 2), (1, 2)]
    assert [seqs(house, shard=Shard(number, 2)) for number in range(2)] == [[1], [1]]


def test_of_two_keepers_one_builds(house: Household) -> None:
    build(house.store, count=9)
    others = [house.keeper(), house.keeper()]
    house.builds.meanwhile = lambda: others.pop().look() if others else None
    house.keeper().look()
    assert house.builds.keys == ["staff"]


def test_two_keepers_at_once(house: Household) -> None:
    for number in range(6):
        build(house.store, f"gallery {number}", 3)
    house.builds.meanwhile = lambda: time.sleep(0.02)
    keepers = [house.keeper() for _ in range(3)]
    threads = [threading.Thread(target=each.look) for each in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(house.builds.keys) == [f"gallery {number}" for number in range(6)]


def test_what_another_has_built_since_the_look_began(
    house: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(house.store, "a", 3)
    build(house.store, "b", 3)
    late = house.keeper()
    standings = house.store.standings

    def looked_before(shard: Shard, least_size: int) -> list[Standing]:
        known = standings(shard, least_size)
        monkeypatch.undo()
        house.keeper().look()
        return known

    monkeypatch.setattr(house.store, "standings", looked_before)
    late.look()
    assert house.builds.keys == ["a", "b"]


def test_the_lease_of_a_dead_keeper_runs_out(house: Household) -> None:
    build(house.store)
    assert house.store.take_lease(lease_of(house), "the dead", 0.3)
    upkeep = house.keeper()
    upkeep.look()
    assert house.builds.orders == []
    time.sleep(0.35)
    upkeep.look()
    assert house.builds.keys == ["staff"]
    assert house.store.take_lease(lease_of(house), "another", 1), "it is given back"


class Slow:
    """A process that takes ``seconds``, unless it is killed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.started = threading.Event()
        self.processes: list[Process] = []

    def __call__(self, order: BuildOrder) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", f"import time; time.sleep({self._seconds})"],
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        self.started.set()
        return process


def test_a_long_build_keeps_its_lease(house: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LEASE_S", 0.9)
    build(house.store)
    slow = Slow(1.8)
    with running(house.keeper(start_build=slow)):
        assert slow.started.wait(10)
        other = house.keeper()
        while slow.processes[0].poll() is None:
            other.look()
            time.sleep(0.1)
        assert house.builds.orders == []


def test_stop_ends_a_running_build(house: Household) -> None:
    build(house.store)
    slow = Slow(600)
    with running(house.keeper(start_build=slow)):
        assert slow.started.wait(10)
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 5
    assert [process.returncode for process in slow.processes] == [-9]
    assert not psutil.pid_exists(slow.processes[0].pid)
    assert house.store.take_lease(lease_of(house), "another", 1)


def test_stop_without_a_start(house: Household) -> None:
    build(house.store)
    upkeep = house.keeper()
    upkeep.stop()
    upkeep.look()
    assert house.builds.orders == []


def test_failing_builds_back_off(
    house: Household, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr("serve_app.index.upkeep.keeper.time.monotonic", lambda: now[0])
    build(house.store, "bad", 3)
    house.builds.complaint = "a warning of FAISS\nit needs at least 256 templates"
    upkeep = house.keeper()
    tries: list[float] = []
    for _ in range(20_000):
        before = len(house.builds.orders)
        upkeep.look() if _is_due(upkeep, now[0]) else None
        tries += [now[0] - 1000.0] * (len(house.builds.orders) - before)
        now[0] += 1
    assert tries == [0, 60, 180, 420, 900, 1860, 3780, 7380, 10_980, 14_580, 18_180]
    assert "exit code 4: it needs at least 256 templates" in caplog.text
    assert "warning of FAISS" not in caplog.text
    house.builds.complaint = None
    now[0] += 3600
    upkeep.look()
    assert seqs(house, "bad") == [1]


def _is_due(upkeep: Keeper, now: float) -> bool:
    """Spares the database 20,000 looks; that a look too early builds nothing is looked at, too."""
    _, not_before = next(iter(upkeep._failures.values()), (0, 0.0))
    return not_before - 2 <= now


def test_another_gallery_is_built_meanwhile(house: Household) -> None:
    build(house.store, "bad", 9, index_type="PQ4")
    build(house.store, "good", 9)
    upkeep = house.keeper()
    for _ in range(3):
        upkeep.look()
    assert house.builds.keys == ["bad", "good"]
    assert seqs(house, "good") == [1]
    assert seqs(house, "bad") == []


def test_a_process_that_cannot_be_started(
    house: Household, caplog: pytest.LogCaptureFixture
) -> None:
    build(house.store, "bad")
    build(house.store, "good")

    def start(order: BuildOrder) -> Process:
        if order.key == "bad":
            raise OSError(12, "Cannot allocate memory", "/secret/place")
        return house.builds(order)

    house.keeper(start_build=start).look()
    assert house.builds.keys == ["good"]
    assert "broke off: OSError" in caplog.text
    assert "secret" not in caplog.text
    assert house.store.take_lease(lease_of(house, "bad"), "another", 1)


def test_it_goes_on_after_the_store_was_down(
    house: Household, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build(house.store)
    caplog.set_level(logging.WARNING, logger="serve_app")
    asked: list[int] = []
    standings = house.store.standings

    def down(shard: Shard, least_size: int) -> list[Standing]:
        asked.append(1)
        if len(asked) < 3:
            raise UnavailableError("the gallery store is unavailable")
        return standings(shard, least_size)

    monkeypatch.setattr(house.store, "standings", down)
    with house.running():
        _until(lambda: bool(house.builds.orders))
    assert house.builds.keys == ["staff"]
    assert "upkeep broke off: UnavailableError" in caplog.text


def test_a_look_tells_what_failed(house: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> list[Standing]:
        raise UnavailableError("the gallery store is unavailable")

    monkeypatch.setattr(house.store, "standings", down)
    with pytest.raises(FaceServeError):
        house.keeper().look()


def test_real_processes(house: Household, url: str) -> None:
    """The whole way: Flat's rows become an HNSW index that another process built."""
    build(house.store, count=300, index_type="HNSW32")
    urls = (url, str(house.directory))
    upkeep = Keeper(house.store, house.storage, urls, Shard(), EAGER, OFTEN)
    with running(upkeep):
        _until(lambda: bool(house.storage.names()) and bool(seqs(house)), 60)
    with house.storage.opened(house.storage.names()[0]) as (_, manifest):
        assert (manifest.index_type, manifest.size) == ("HNSW32", 300)
    assert builder.__name__ not in " ".join(
        " ".join(child.cmdline()) for child in psutil.Process().children()
    )


def _until(reached: object, limit_s: float = 20) -> None:
    assert callable(reached)
    deadline = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)
