"""The building process: what it makes, what it says, and that it outlives nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from serve_app.index.loading import Loader
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep import builder
from serve_app.index.upkeep.builder import BUILT, FAILED, NOTHING_TO_DO, BuildOrder, build, start
from serve_app.types import Shard
from tests.index.samples import build as build_gallery
from tests.index.samples import locked
from tests.index.shots import files_in

WHOLE = Shard()
PATIENCE_S = 60


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def order(store: GalleryStore, url: str, directory: Path, shard: Shard = WHOLE) -> BuildOrder:
    generation = store.describe(["staff"])["staff"].generation
    return BuildOrder(url, str(directory), "staff", generation, shard.number, shard.of, 1)


def test_it_builds_and_shows_nothing_to_others(
    store: GalleryStore, url: str, directory: Path
) -> None:
    build_gallery(store, count=500, index_type="HNSW32")
    process = start(order(store, url, directory, Shard(1, 2)))
    line = " ".join(psutil.Process(process.pid).cmdline())
    assert "serve_app.index.upkeep.builder" in line
    assert "sqlite" not in line
    assert str(directory) not in line
    _, complaint = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, complaint) == (BUILT, b"")
    (row,) = store.every_snapshot()
    assert (row.shard, row.size) == (Shard(1, 2), 250)
    info = store.describe(["staff"], row.shard)["staff"]
    loaded = Loader(store, row.shard, SnapshotStorage(str(directory))).load(info)
    assert loaded.index.index_type_in_use == "HNSW32"
    assert loaded.index.sealed_rows == 250


def test_it_says_why_not(store: GalleryStore, url: str, directory: Path) -> None:
    build_gallery(store, index_type="PQ4")
    process = start(order(store, url, directory))
    _, complaint = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == FAILED
    assert "needs at least 256 templates, there are 3" in complaint.decode().splitlines()[-1]
    assert str(directory) not in complaint.decode()
    assert files_in(directory) == []


def test_nothing_to_do(store: GalleryStore, url: str, directory: Path) -> None:
    build_gallery(store)
    there = order(store, url, directory)
    gone = BuildOrder(**(asdict(there) | {"key": "nobody"}))
    replaced = BuildOrder(**(asdict(there) | {"generation": "ffff"}))
    assert [build(each, os.getppid()) for each in (gone, replaced)] == [NOTHING_TO_DO] * 2
    assert build(there, os.getppid()) == BUILT


def test_what_nobody_foresaw_is_named_without_its_text(
    store: GalleryStore,
    url: str,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise PermissionError(13, "no", "/secret/place")

    build_gallery(store)
    monkeypatch.setattr("serve_app.index.upkeep.building.build_snapshot", fails)
    assert build(order(store, url, directory), os.getppid()) == FAILED
    assert capsys.readouterr().err == "PermissionError\n"


def test_a_database_that_is_not_there(
    tmp_path: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = BuildOrder(f"sqlite:///{tmp_path / 'no.sqlite'}", str(directory), "a", "b", 0, 1, 1)
    assert build(there, os.getppid()) == FAILED
    assert str(tmp_path) not in capsys.readouterr().err
    assert not (tmp_path / "no.sqlite").exists()


def test_a_parent_that_is_gone_ends_it(store: GalleryStore, url: str, directory: Path) -> None:
    build_gallery(store)
    assert build(order(store, url, directory), parent=os.getppid() + 1) == FAILED
    assert files_in(directory) == []
    assert store.every_snapshot() == []


PARENT = """
import sys, json, time
from serve_app.index.upkeep import builder
print(builder.start(builder.BuildOrder(**json.loads(sys.argv[1]))).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("alive_s", [0, 2])
def test_it_ends_when_its_parent_is_killed(
    store: GalleryStore, url: str, directory: Path, file: Path, alive_s: float
) -> None:
    """At once, while it still imports; and later, while it waits for the database."""
    build_gallery(store)
    there = json.dumps(asdict(order(store, url, directory)))
    with locked(file):
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, there],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(builder.__file__).parents[3])},
        )
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(alive_s)
        assert child.is_running()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    parent.stdout.close()
    assert ended(child)
    assert files_in(directory) == []
    assert store.every_snapshot() == []


def ended(process: psutil.Process) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:  # in a container nobody may be waiting for it
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
