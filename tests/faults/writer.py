"""Processes that work on a store, or on a plain file, under the shim. They need no Ray.

``python -m tests.faults.writer PROGRAM ...`` with one of the functions in ``PROGRAMS`` and its
arguments.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

from serve_app.errors import FaceServeError
from serve_app.index.store import GalleryStore, sqlite
from tests.index.samples import build, embeddings

from .power_loss import ACKNOWLEDGED

ROOT = Path(__file__).resolve().parents[2]
KEY = "staff"
A_MUTATION = 3
"""Templates that are added, or removed, together; all with the number of the addition as label."""

DEFAULT = "default"
"""The pragma ``synchronous`` as the store sets it."""


def start(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A process of this module."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments],
        cwd=ROOT,
        env=dict(environment) | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(environment: Mapping[str, str], *arguments: str) -> None:
    """The same, to its end."""
    process = start(environment, *arguments)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint


class Acknowledgements:
    """The file ``acknowledged`` of ``directory``: whole lines, recorded in order."""

    def __init__(self, directory: Path) -> None:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        self._file = os.open(directory / ACKNOWLEDGED, flags, 0o600)

    def say(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


def churn(
    root: str, database: str, journal: str, synchronous: str, mutations: str, seed: str
) -> None:
    """Create a gallery in the file ``database`` below ``root``, then add and remove whole
    mutations: says "created", then before each "add NUMBER" or "remove NUMBER", and after it
    "done IDS"."""
    said = Acknowledgements(Path(root))
    store = open_store(f"{root}/{database}", journal, synchronous)
    chance = random.Random(int(seed))
    build(store, KEY, 0)
    said.say("created")
    mine: dict[int, list[int]] = {}
    for number in range(int(mutations)):
        if mine and chance.random() < 0.4:
            gone = chance.choice(list(mine))
            said.say(f"remove {gone}")
            ids = store.remove(KEY, mine.pop(gone), with_labels=False).ids
        else:
            said.say(f"add {number}")
            ids = mine[number] = add(store, number)
        said.say(f"done {json.dumps(ids)}")
    store.close()


def obey(file: str, journal: str) -> None:
    """Do what each line says, a list of a verb and its arguments, and answer with a line."""
    store = open_store(file, journal, DEFAULT)
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        try:
            answer = COMMANDS[verb](store, *arguments)
        except FaceServeError as error:
            answer = type(error).__name__
        print(json.dumps(answer), flush=True)
    store.close()


def replace_file(directory: str, careful: str) -> None:
    """Write the file "picture" anew again and again: under another name, synced, renamed, and its
    directory synced. ``careful`` "file": the first sync only; "directory": the second only."""
    said = Acknowledgements(Path(directory))
    for number in range(1, 6):
        said.say(f"write {number}")
        temporary = Path(directory, "picture.new")
        with temporary.open("wb") as file:
            file.write(picture(number))
            file.flush()
            if careful in {"both", "file"}:
                os.fsync(file.fileno())
        temporary.replace(Path(directory, "picture"))
        if careful in {"both", "directory"}:
            parent = os.open(directory, os.O_RDONLY)
            os.fsync(parent)
            os.close(parent)
        said.say("done")


def picture(number: int) -> bytes:
    """Three sectors and a bit."""
    return bytes([number]) * 1600


def every_call(directory: str) -> None:
    """Every way in which Python changes files, so that a test sees whether it is recorded."""
    root = Path(directory)
    os.chdir(root)
    Path("a").mkdir()
    folder = os.open("a", os.O_RDONLY)
    os.mkdir("b", dir_fd=folder)
    file = os.open("b/x", os.O_CREAT | os.O_RDWR, dir_fd=folder)
    os.write(file, b"0123456789")
    os.pwrite(file, b"AB", 3)
    os.writev(file, [b"vector", b"", b"ed"])
    os.pwritev(file, [b"PV"], 30)
    os.dup2(file, 77)
    os.write(77, b"by a duplicate")
    os.ftruncate(file, 60)
    os.close(file)
    with Path("a/b/x").open("ab") as appended:
        appended.write(b"appended")
    Path("a/empty").touch()
    Path("a/rewritten").write_bytes(b"long" * 300)
    Path("a/rewritten").write_bytes(b"short")
    os.rename("b/x", "y", src_dir_fd=folder, dst_dir_fd=folder)
    (root / "a/b").rmdir()
    (root / "gone").write_bytes(b"gone")
    (root / "gone").unlink()
    Path("copied").write_bytes(Path("a/y").read_bytes())
    Path("a").rename("c")
    if os.fork() == 0:
        Path("c/forked").write_text("by a child", encoding="utf-8")
        os._exit(0)
    os.wait()
    subprocess.run(["sh", "-c", "echo by another program > c/executed"], check=True)


def open_store(file: str, journal: str, synchronous: str) -> GalleryStore:
    """A store with this journal mode, whichever this machine's SQLite would get."""
    sqlite.journal_mode = lambda version: journal
    if synchronous != DEFAULT:
        pragma = f"PRAGMA synchronous={synchronous}"
        event.listen(Pool, "checkout", lambda connection, record, proxy: connection.execute(pragma))
    return GalleryStore(f"sqlite:///{file}")


def add(store: GalleryStore, number: int) -> list[int]:
    enrolled = embeddings(A_MUTATION, seed=number)
    return store.add(KEY, [str(number)] * A_MUTATION, enrolled, with_labels=False).ids


def templates(store: GalleryStore) -> dict[str, list[int]]:
    """The ids of each label, read with ``page``."""
    page = store.page(store.describe([KEY])[KEY], -1, 1_000_000)
    found: dict[str, list[int]] = {}
    for number, label in zip(page.ids, page.labels, strict=True):
        found.setdefault(label, []).append(number)
    return found


def changed(store: GalleryStore, seq: int) -> list[int]:
    """The ids that were added after ``seq``, read with ``changes``."""
    changes = store.changes(replace(store.describe([KEY])[KEY], seq=seq))
    assert changes is not None
    return changes.added.ids


COMMANDS: dict[str, Callable[..., Any]] = {
    "build": lambda store: build(store, KEY, 0) and None,
    "add": add,
    "remove": lambda store, ids: store.remove(KEY, ids, with_labels=False).ids,
    "seq": lambda store: store.describe([KEY])[KEY].seq,
    "templates": templates,
    "changed": changed,
}
PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program for program in (churn, obey, replace_file, every_call)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
