"""A process that adds to a store: started and released by the tests.

It says "ready" when all is imported, and opens the database when a line comes in.
"""

from __future__ import annotations

import json
import os
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


def say(line: str) -> None:
    # At once and whole, or not at all: short writes to a pipe are atomic.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main(url: str, program: str, key: str, *numbers: str) -> None:
    assert program == "add"
    say("ready")
    add(url, key, int(numbers[0]), int(numbers[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
