"""Files sealed in chunks, so that neither writing nor reading one needs it whole in memory.

A header (magic, the data key's version, a random salt that gives the file a key of its own), then
chunks of 1 MiB, each with its tag. A chunk's nonce is its position and whether it is the last
(STREAM, Hoang and others 2015): chunks that are cut off, moved, repeated or of another file are
found. What the file is of (``context``) is authenticated with each.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag

from serve_app.encryption.data_keys import SALT_BYTES, DataKey, UnreadableError

MAGIC = b"FSSEAL1\n"
CHUNK = 1 << 20
TAG_BYTES = 16
_HEADER = struct.Struct(f"<8sI{SALT_BYTES}s")


class SealingWriter:
    """Writes to ``file``, sealed; ``close`` writes the last chunk and leaves ``file`` open."""

    def __init__(self, file: BinaryIO, key: DataKey, context: bytes) -> None:
        salt = os.urandom(SALT_BYTES)
        header = _HEADER.pack(MAGIC, key.version, salt)
        self._file = file
        self._seal = key.of_file(salt).encrypt
        self._bound = header + context
        self._buffer = bytearray()
        self._position = 0
        file.write(header)

    def write(self, content: bytes | memoryview) -> int:
        view = memoryview(content).cast("B")
        self._buffer += view
        while len(self._buffer) > CHUNK:  # a full chunk may be the last: not before there is more
            self._chunk(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]
        return len(view)

    def close(self) -> None:
        self._chunk(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _chunk(self, content: bytes, *, last: bool) -> None:
        self._file.write(self._seal(_nonce(self._position, last), content, self._bound))
        self._position += 1


class OpeningReader:
    """Reads what ``SealingWriter`` wrote to ``file``. ``key_of`` gives the key of a version, and
    raises UnreadableError. Every method does, for a file that was cut, changed or is of another
    context."""

    def __init__(self, file: BinaryIO, key_of: Callable[[int], DataKey], context: bytes) -> None:
        header = file.read(_HEADER.size)
        if len(header) != _HEADER.size or header[: len(MAGIC)] != MAGIC:
            raise UnreadableError("is not sealed")
        _, version, salt = _HEADER.unpack(header)
        self._file = file
        self._open = key_of(version).of_file(salt).decrypt
        self._bound = header + context
        self._next = file.read(CHUNK + TAG_BYTES)
        self._position = 0
        self._content = memoryview(b"")
        self._over = False

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; none at the end, which is authenticated then."""
        while not self._content and not self._over:
            self._chunk()
        part = bytes(self._content[:size])
        self._content = self._content[size:]
        return part

    def read_all(self) -> bytes:
        parts = []
        while part := self.read(CHUNK):
            parts.append(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Nothing may be left."""
        if self.read(1):
            raise UnreadableError("is longer than it should be")

    def _chunk(self) -> None:
        sealed, self._next = self._next, self._file.read(CHUNK + TAG_BYTES)
        last = not self._next
        try:
            content = self._open(_nonce(self._position, last), sealed, self._bound)
        except (InvalidTag, ValueError):
            raise UnreadableError("was cut or changed, or is another's") from None
        self._content, self._over = memoryview(content), last
        self._position += 1


@dataclass(frozen=True, slots=True)
class FileSeal:
    """What seals and opens the files of one thing. ``context``: what that is."""

    key: DataKey
    context: bytes

    def writer(self, file: BinaryIO, name: str) -> SealingWriter:
        return SealingWriter(file, self.key, self._context(name))

    def reader(self, file: BinaryIO, name: str) -> OpeningReader:
        """Raises UnreadableError."""
        return OpeningReader(file, self._key_of, self._context(name))

    def _context(self, name: str) -> bytes:
        return self.context + b"\0" + name.encode()

    def _key_of(self, version: int) -> DataKey:
        if version != self.key.version:
            raise UnreadableError("is sealed by another key")
        return self.key


def _nonce(position: int, last: bool) -> bytes:
    return position.to_bytes(11, "big") + bytes([last])
