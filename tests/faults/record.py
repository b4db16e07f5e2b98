"""What ``shim.c`` recorded: the changes that processes made to files, in order."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

HEAD = struct.Struct("=4I2Q")
"""``struct record``."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change, as it happened.

    ``kind``: R start of a process, O open that may have created, M mkdir, W write, T truncate or
    extend to ``offset``, S sync, U unlink or rmdir, N rename of ``path`` to ``other``.
    """

    kind: str
    path: str
    other: str = ""
    inode: int = 0
    offset: int = 0
    data: bytes = b""


def read_log(file: Path) -> list[Operation]:
    """The record of all processes, in the order in which things happened."""
    raw = file.read_bytes()
    operations = []
    position = 0
    while position < len(raw):
        kind, *lengths, inode, offset = HEAD.unpack_from(raw, position)
        position += HEAD.size
        parts = []
        for length in lengths:
            parts.append(raw[position : position + length])
            position += length
        path, other, data = parts
        operations.append(Operation(chr(kind), path.decode(), other.decode(), inode, offset, data))
    return operations
