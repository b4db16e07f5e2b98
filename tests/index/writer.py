"""A process that writes to a store: started, released and killed by the tests.

It says "ready" when all is imported, and opens the database when a line comes in. ``churn`` does so
in a process forked for each line, so that one start serves many kills; it says what it is about to
do and, after the commit, that it is done.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
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

    def read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def release(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def live_and_be_killed(self, seconds: float) -> list[str]:
        """One life of ``churn``, with no chance to clean up at its end: the lines it said."""
        self.release()
        _, process = self.read().split()
        time.sleep(seconds)
        os.kill(int(process), signal.SIGKILL)
        said = list(iter(self.read, ""))
        assert said.pop() == f"dead of signal {signal.SIGKILL}"
        return said

    def finish(self) -> list[str]:
        """Wait for its end: the lines it said."""
        said, complaint = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, complaint
        return said.splitlines()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)


@contextmanager
def writers(count: int, url: str, *arguments: str) -> Iterator[list[Writer]]:
    """Processes that are ready and wait; they are gone afterwards."""
    started = [Writer(url, *arguments, str(number)) for number in range(count)]
    try:
        assert [writer.read() for writer in started] == ["ready"] * count
        yield started
    finally:
        for writer in started:
            writer.end()


def add(url: str, key: str, count: int, name: int) -> None:
    """Create the gallery unless another did; add ``count`` templates one by one: their ids."""
    sys.stdin.readline()
    store = GalleryStore(url)
    try:
        store.create(key, IndexType.FLAT, Metric.IP, [], embeddings(0), with_labels=False)
    except GalleryExistsError:
        say("exists")
    for number in range(count):
        receipt = store.add(key, [f"{name}-{number}"], embeddings(1), with_labels=False)
        say(json.dumps(receipt.ids))
    store.close()


def churn(url: str, key: str) -> None:
    """For each line a process that writes until it is killed."""
    for life, _ in enumerate(sys.stdin, start=1):
        process = os.fork()
        if process == 0:
            say(f"alive {os.getpid()}")
            add_and_remove(url, key, 1_000_000 * life)
        _, status = os.waitpid(process, 0)
        say(f"dead of signal {os.WTERMSIG(status)}")
        say("")


def add_and_remove(url: str, key: str, number: int) -> None:
    """Add and remove whole mutations, numbered from ``number``, for ever."""
    chance = random.Random(number)
    store = GalleryStore(url)
    mine: dict[int, list[int]] = {}
    while True:
        if mine and chance.random() < 0.4:
            gone = chance.choice(list(mine))
            say(f"remove {gone}")
            receipt = store.remove(key, mine.pop(gone), with_labels=False)
        else:
            number += 1
            say(f"add {number}")
            labels = [str(number)] * A_MUTATION
            enrolled = embeddings(A_MUTATION, seed=number)
            receipt = store.add(key, labels, enrolled, with_labels=False)
            mine[number] = receipt.ids
        say(f"done {json.dumps(receipt.ids)}")


def say(line: str) -> None:
    # At once and whole, or not at all: short writes to a pipe are atomic.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main(url: str, program: str, key: str, *numbers: str) -> None:
    say("ready")
    if program == "add":
        add(url, key, int(numbers[0]), int(numbers[1]))
    else:
        churn(url, key)


if __name__ == "__main__":
    main(*sys.argv[1:])
