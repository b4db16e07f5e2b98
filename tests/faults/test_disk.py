"""Full and failing disks: a write answers UnavailableError and leaves nothing by half, reading goes
on where it can, and once the disk is well again so is the store, without being opened anew."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import writer
from .shim import Fault, Shim, Writes

UNAVAILABLE = "UnavailableError"
DATABASE = "galleries.sqlite"
ALL_PLACES = 40
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

    def reads_well(self) -> bool:
        """Every way to read answers, and answers right."""
        size = sum(len(ids) for ids in self.there.values())
        return (
            self("seq") != UNAVAILABLE
            and self("templates") == self.there
            and len(self("changed", 0)) == size
        )


@contextmanager
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


@pytest.fixture(params=["WAL", "DELETE"])
def journal(request: pytest.FixtureRequest) -> str:
    """Both journal modes, for the process."""
    return str(request.param)


@pytest.mark.parametrize("kind", list(Writes))
def test_disk_that_gets_full_at_any_place(shim: Shim, journal: str, kind: Writes) -> None:
    with client(shim.environment(), shim.root, journal) as does:
        outcomes = []
        for place in range(ALL_PLACES):
            with shim.fails(Fault.WRITES, kind=kind, after=place):
                outcomes.append(does.add(100 + place))
                print(kind, place, outcomes[-1], shim.refused, does("seq"), does("templates") == does.there, does("changed", 0))
            print(does.reads_well())
        print(outcomes)
