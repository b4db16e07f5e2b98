"""Full and failing disks: a write answers UnavailableError and leaves nothing by half, reading goes
on where it can, and once the disk is well again so is the store, without being opened anew."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from serve_app.index.store import GalleryStore

from . import writer
from .shim import Fault, Shim, Writes

UNAVAILABLE = "UnavailableError"
DATABASE = "galleries.sqlite"
ALL_PLACES = 45
"""More calls than any mutation makes."""


class Client:
    """A process with an open store: ``writer.obey``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.there: dict[str, list[int]] = {}
        """What must be in the gallery."""

    def __call__(self, verb: str, *arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([verb, *arguments]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        return json.loads(answer)

    def add(self, number: int) -> bool:
        """Whether it succeeded."""
        ids = self("add", number)
        if ids == UNAVAILABLE:
            return False
        self.there[str(number)] = ids
        return True

    def remove(self, number: int) -> bool:
        ids = self("remove", self.there[str(number)])
        if ids == UNAVAILABLE:
            return False
        assert ids == self.there.pop(str(number))
        return True

    def learn(self, number: int) -> None:
        """Take it as it is, if it is whole, whether this addition happened."""
        ids = self("templates").get(str(number))
        if ids is not None:
            assert len(ids) == writer.A_MUTATION
            self.there[str(number)] = ids

    def reads_well(self) -> bool:
        """Every way to read answers, and answers right."""
        size = sum(len(ids) for ids in self.there.values())
        return (
            self("seq") != UNAVAILABLE
            and self("templates") == self.there
            and len(self("changed", 0)) == size
        )


@contextlib.contextmanager
def client(environment: Mapping[str, str], directory: Path, journal: str) -> Iterator[Client]:
    """With a gallery that has two mutations' templates."""
    process = writer.start(environment, "obey", str(directory / DATABASE), journal)
    try:
        does = Client(process)
        does("build")
        assert does.add(0)
        assert does.add(1)
        yield does
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", list(Writes))
def test_disk_that_gets_full_at_any_place(shim: Shim, journal: str, kind: Writes) -> None:
    # A rollback journal is rolled back by writing: where not even that goes, there is no reading
    # either until there is space again.
    always_reads = kind == Writes.GROWTH or journal == "WAL"
    with client(shim.environment(), shim.root, journal) as does:
        for place in range(ALL_PLACES):
            before, number = shim.refused, 100 + place
            with shim.fails(Fault.WRITES, kind=kind, after=place):
                done = does.add(number)
                assert done or shim.refused > before
                if always_reads:
                    assert does.reads_well()
                else:
                    assert does("templates") in (does.there, UNAVAILABLE)
            assert does.reads_well()
            assert done or does.add(number)
            with shim.fails(Fault.WRITES, kind=kind, after=place):
                does.remove(number)
                assert does("templates") in (does.there, UNAVAILABLE)
            assert does.reads_well()
        assert shim.refused > 5


@pytest.mark.parametrize("suffix", ["", DATABASE])
def test_reads_that_fail_at_any_place(shim: Shim, journal: str, suffix: str) -> None:
    with client(shim.environment(suffix=suffix), shim.root, journal) as does:
        neighbour = GalleryStore(f"sqlite:///{shim.root / DATABASE}")
        unavailable = 0
        for place in range(6):
            # What another process wrote is in no cache; after a removal it is in no log either.
            does.there[str(200 + place)] = writer.add(neighbour, 200 + place)
            gone = writer.add(neighbour, 400 + place)
            neighbour.remove(writer.KEY, gone, with_labels=False)
            with shim.fails(Fault.READS, after=place):
                answer = does("templates")
                unavailable += answer == UNAVAILABLE
                assert answer in (does.there, UNAVAILABLE)
                does.add(100 + place)
            assert does.reads_well()
            assert does.add(300 + place)
        neighbour.close()
        assert shim.refused > 0
        assert unavailable > 0


def test_syncs_that_fail_at_any_place(shim: Shim, journal: str) -> None:
    with client(shim.environment(), shim.root, journal) as does:
        refusals = 0
        for place in range(6):
            with shim.fails(Fault.SYNCS, after=place):
                done = does.add(100 + place)
                refusals += not done
            if not done:  # nobody knows, but it is whole or not at all
                does.learn(100 + place)
            assert does.reads_well()
            assert does.add(200 + place)
        assert refusals > 0


def test_full_file_system(journal: str, tmp_path: Path) -> None:
    """A real one, small."""
    with tmpfs(tmp_path / "small") as small, client(os.environ, small, journal) as does:
        balloon = small / "balloon"
        fill(balloon)
        refused = next(number for number in range(100, 200) if not does.add(number))
        assert does.reads_well()
        assert not does.add(refused)
        assert does.reads_well()
        balloon.unlink()
        assert does.add(refused)
        assert does.remove(0)
        assert does.reads_well()


def fill(balloon: Path) -> None:
    """Make a file of all the space that is left."""
    with balloon.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert balloon.stat().st_size > 0


@contextlib.contextmanager
def tmpfs(directory: Path) -> Iterator[Path]:
    """A file system of 1 MiB at ``directory``."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"may not mount a file system: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
