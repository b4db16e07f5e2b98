"""A process that writes to a store: started, released and killed by the tests.

It says "ready" when all is imported, opens the database when a line comes in, and from then on says
what it is about to do and, after the commit, that it is done.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serve_app.errors import GalleryExistsError
from serve_app.index.store import GalleryStore
from serve_app.types import IndexType, Metric

from .samples import embeddings

ROOT = Path(__file__).resolve().parents[2]
A_MUTATION = 3
"""Templates that are added, or removed, together."""


class Writer:
    """A running process of this module."""

    def __init__(self, url: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, url, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n", self.end()[1]

    def release(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def kill(self) -> list[str]:
        """Kill it with no chance to clean up: the lines it said. A line cut short is dropped."""
        self._process.send_signal(signal.SIGKILL)
        said, complaint = self.end()
        assert self._process.returncode == -signal.SIGKILL, complaint
        return said[: said.rfind("\n") + 1].splitlines()

    def finish(self) -> list[str]:
        """Wait for its end: the lines it said."""
        said, complaint = self.end()
        assert self._process.returncode == 0, complaint
        return said.splitlines()

    def end(self) -> tuple[str, str]:
        return self._process.communicate(timeout=60)


@contextmanager
def writers(count: int, url: str, *arguments: str) -> Iterator[list[Writer]]:
    """Processes that are ready and wait; they are gone afterwards."""
    started = [Writer(url, *arguments, str(number)) for number in range(count)]
    try:
        for writer in started:
            writer.wait_until_ready()
        yield started
    finally:
        for writer in started:
            writer._process.kill()
            writer.end()


def add(url: str, key: str, count: int, name: int) -> None:
    """Create the gallery unless another did; add ``count`` templates one by one: their ids."""
    store = GalleryStore(url)
    try:
        store.create(key, IndexType.FLAT, Metric.IP, [], embeddings(0), with_labels=False)
    except GalleryExistsError:
        say("exists")
    for number in range(count):
        receipt = store.add(key, [f"{name}-{number}"], embeddings(1), with_labels=False)
        say(json.dumps(receipt.ids))
    store.close()


def churn(url: str, key: str, name: int) -> None:
    """Add and remove whole mutations until killed."""
    chance = random.Random(name)
    store = GalleryStore(url)
    mine: dict[int, list[int]] = {}
    number = 1_000_000 * name
    while True:
        if mine and chance.random() < 0.4:
            gone = chance.choice(list(mine))
            say(f"remove {gone}")
            store.remove(key, mine.pop(gone), with_labels=False)
        else:
            number += 1
            say(f"add {number}")
            labels = [str(number)] * A_MUTATION
            enrolled = embeddings(A_MUTATION, seed=number)
            mine[number] = store.add(key, labels, enrolled, with_labels=False).ids
        say("done")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(url: str, program: str, key: str, *numbers: str) -> None:
    say("ready")
    sys.stdin.readline()
    if program == "add":
        add(url, key, int(numbers[0]), int(numbers[1]))
    else:
        churn(url, key, int(numbers[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
