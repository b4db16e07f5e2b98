"""Disks after a power loss, from a record of what a process did to its files.

The strictest reading of POSIX: data is on the disk once fsync or fdatasync of its file answered,
a name (created, renamed, removed) once fsync of its directory did. Of all else any part may be
there, in any order: names and sizes, and data in sectors of 512 bytes. Knows nothing of databases.

The process runs under ``shim.c``. That sees the sqlite3 module, settings and code that the service
has, and every other file as well. A virtual file system of apsw would see SQLite alone, and would
need the store to be run on another driver than its own; so apsw is not used.

A process tells what it acknowledged by lines in the file ``acknowledged`` in the recorded
directory: recorded in order with the rest, but no part of the disk.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .record import Operation

ACKNOWLEDGED = "acknowledged"
SECTOR = 512

Files = dict[str, bytes | None]
"""What a disk holds: contents by path relative to its root; directories are None."""


@dataclass(frozen=True, slots=True)
class Survival:
    """How much of what was not synced got to the disk nevertheless, as probabilities.

    ``metadata``: names, and sizes of files; ``data``: sectors, or with ``torn`` the first sectors
    of each write.
    """

    metadata: float
    data: float
    torn: bool = False
    seed: int = 0


NOTHING = Survival(0, 0)
EVERYTHING = Survival(1, 1)
"""As after a kill."""
ONLY_METADATA = Survival(1, 0)
ONLY_DATA = Survival(0, 1)
CORNERS = (NOTHING, ONLY_METADATA, ONLY_DATA, EVERYTHING)


def by_chance(chance: random.Random) -> Survival:
    """One of all the ways, seeded."""
    odds = (0.0, 0.1, 0.5, 0.9, 1.0)
    return Survival(
        chance.choice(odds), chance.choice(odds), chance.random() < 0.5, chance.getrandbits(32)
    )


@dataclass(frozen=True, slots=True)
class Loss:
    """A disk after a power loss, and the lines that the process had acknowledged before."""

    survival: Survival
    said: list[str]
    files: Files


def losses(
    operations: Sequence[Operation],
    survivals: Sequence[Survival] = CORNERS,
    *,
    by_chances: int = 0,
    seed: int = 0,
) -> Iterator[Loss]:
    """Power is lost before each operation and after the last: at each of these moments the disks of
    ``survivals`` and of ``by_chances`` others, but none twice."""
    chance = random.Random(seed)
    disk = Disk()
    seen: set[bytes] = set()
    for moment in range(len(operations) + 1):
        if moment:
            disk.apply(operations[moment - 1])
        for survival in (*survivals, *(by_chance(chance) for _ in range(by_chances))):
            files = disk.after_power_loss(survival)
            whole = repr((disk.acknowledged, sorted(files.items()))).encode()
            mark = hashlib.sha256(whole).digest()
            if mark not in seen:
                seen.add(mark)
                yield Loss(survival, disk.acknowledged, files)


@dataclass(slots=True)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes (offset, data) and changes of the size (size, None) since the last sync."""


@dataclass(slots=True)
class _Directory:
    now: dict[str, _Node] = field(default_factory=dict)
    synced: dict[str, _Node] = field(default_factory=dict)
    unsynced: list[dict[str, _Node | None]] = field(default_factory=list)
    """Changes of names since the last sync, each whole or not at all; None: the name is gone."""


_Node = _File | _Directory


class Disk:
    """A disk that was empty and has had ``apply`` for everything that happened to it."""

    def __init__(self) -> None:
        self._root = _Directory()
        self._inodes: dict[int, _Node] = {}
        self._said = bytearray()

    @property
    def acknowledged(self) -> list[str]:
        """The whole lines that the process wrote so far."""
        return self._said.decode().split("\n")[:-1]

    def apply(self, operation: Operation) -> None:
        """Raises KeyError for a file whose creation was not recorded."""
        if operation.path == ACKNOWLEDGED:
            self._said += operation.data
            return
        match operation.kind:
            case "R":
                self._inodes[operation.inode] = self._root
            case "O" | "M":
                self._create(operation)
            case "W":
                self._file(operation).unsynced.append((operation.offset, operation.data))
            case "T":
                self._file(operation).unsynced.append((operation.offset, None))
            case "S":
                _sync(self._inodes[operation.inode])
            case "U":
                directory, name = self._named(operation.path)
                _rename(directory, {name: None})
            case "N":
                self._move(operation)
            case _:
                raise ValueError(operation.kind)

    def after_power_loss(self, survival: Survival) -> Files:
        """What is found when power returns."""
        files: Files = {}
        _collect(self._root, "", _Luck(survival), files)
        return files

    def _create(self, operation: Operation) -> None:
        directory, name = self._named(operation.path)
        if name in directory.now:
            return  # the open found it
        # An inode's number may be that of a file that is gone.
        node: _Node = _File() if operation.kind == "O" else _Directory()
        self._inodes[operation.inode] = node
        _rename(directory, {name: node})

    def _move(self, operation: Operation) -> None:
        source, old = self._named(operation.path)
        target, new = self._named(operation.other)
        if (source, old) == (target, new):
            return
        node = source.now[old]
        if source is target:
            _rename(source, {old: None, new: node})
        else:  # two directories: each is synced alone
            _rename(target, {new: node})
            _rename(source, {old: None})

    def _file(self, operation: Operation) -> _File:
        node = self._inodes[operation.inode]
        assert isinstance(node, _File)
        return node

    def _named(self, path: str) -> tuple[_Directory, str]:
        directory = self._root
        *parents, name = path.split("/")
        for parent in parents:
            child = directory.now[parent]
            assert isinstance(child, _Directory)
            directory = child
        return directory, name


def lay_out(files: Mapping[str, bytes | None], directory: Path) -> None:
    """Write ``files`` into ``directory``, which is empty."""
    for path, content in sorted(files.items()):
        if content is None:
            (directory / path).mkdir()
        else:
            (directory / path).write_bytes(content)


def found_in(directory: Path) -> Files:
    """What ``directory`` holds, to be compared; without ``acknowledged``."""
    return {
        path.relative_to(directory).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in directory.rglob("*")
        if path != directory / ACKNOWLEDGED
    }


class _Luck:
    """What survives one power loss."""

    def __init__(self, survival: Survival) -> None:
        self._survival = survival
        self._chance = random.Random(survival.seed)

    def metadata(self) -> bool:
        return self._chance.random() < self._survival.metadata

    def sectors(self, offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The parts of a write that got there."""
        first = SECTOR - offset % SECTOR
        cuts = [0, *range(first, len(data), SECTOR), len(data)]
        count = len(cuts) - 1
        if self._survival.torn:
            whole = self._chance.random() < self._survival.data
            kept = count if whole else self._chance.randrange(count)
            chosen = [number < kept for number in range(count)]
        else:
            chosen = [self._chance.random() < self._survival.data for _ in range(count)]
        for number in range(count):
            if chosen[number]:
                start, end = cuts[number], cuts[number + 1]
                yield offset + start, data[start:end]


def _rename(directory: _Directory, change: dict[str, _Node | None]) -> None:
    directory.unsynced.append(change)
    _enter(directory.now, change)


def _enter(names: dict[str, _Node], change: Mapping[str, _Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _sync(node: _Node) -> None:
    if isinstance(node, _Directory):
        node.synced = dict(node.now)
    else:
        for offset, data in node.unsynced:
            _change(node.synced, offset, data)
    node.unsynced.clear()


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    """Write ``data`` at ``offset``, or make ``offset`` the size; what lies between is zeros."""
    end = offset if data is None else offset + len(data)
    if end > len(content):
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset:end] = data


def _collect(directory: _Directory, prefix: str, luck: _Luck, files: Files) -> None:
    names = dict(directory.synced)
    for change in directory.unsynced:
        if luck.metadata():
            _enter(names, change)
    for name, node in names.items():
        if isinstance(node, _Directory):
            files[prefix + name] = None
            _collect(node, f"{prefix}{name}/", luck, files)
        else:
            files[prefix + name] = _content(node, luck)


def _content(file: _File, luck: _Luck) -> bytes:
    content = bytearray(file.synced)
    for offset, data in file.unsynced:
        if data is None:
            if luck.metadata():
                _change(content, offset, None)
            continue
        for start, part in luck.sectors(offset, data):
            _change(content, start, part)
        if offset + len(data) > len(content) and luck.metadata():
            _change(content, offset + len(data), None)  # the size alone: zeros
    return bytes(content)
