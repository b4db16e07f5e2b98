"""The preloaded library ``shim.c``, as Python sees it: built, attached to a process, and steered.

A ``Shim`` belongs to one directory. A process started with its ``environment`` has every change
below that directory recorded, or its reads and writes there refused, while ``fails`` says so.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
CONTROL_BYTES = 4096
FAILED_AT = 6 * 4
"""Where in the control file the number of refused calls is: see ``struct control``."""


class Fault(IntEnum):
    """What can fail: where its switch lies in the control file, in switches."""

    WRITES = 0
    READS = 1
    SYNCS = 2


class Writes(IntEnum):
    """Which writes a full disk refuses."""

    GROWTH = 1
    """Those that make a file larger: a file system that overwrites in place."""
    ALL = 2
    """All: one that copies on write."""


def build(directory: Path) -> Path:
    """The library, compiled into ``directory``. Raises FileNotFoundError without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler (Debian: gcc libc6-dev)")
    library = directory / "shim.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-U_FORTIFY_SOURCE"]
    run = subprocess.run(
        [compiler, *flags, "-o", library, SOURCE, "-pthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return library


class Shim:
    """Faults and records of processes that work in ``root``; its own files go into ``own``."""

    def __init__(self, library: Path, root: Path, own: Path) -> None:
        self._library = library
        self.root = root.resolve()
        own = own.resolve()
        assert not own.is_relative_to(self.root)
        self.log = own / f"{root.name}.log"
        self._control_file = own / f"{root.name}.control"
        self._control_file.write_bytes(bytes(CONTROL_BYTES))
        with self._control_file.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), CONTROL_BYTES)

    def environment(self, *, record: bool = False, suffix: str = "") -> dict[str, str]:
        """Of a process to attach to. ``suffix``: only files whose path ends so ever fail."""
        added = {
            "LD_PRELOAD": str(self._library),
            "FAULTS_ROOT": str(self.root),
            "FAULTS_CONTROL": str(self._control_file),
        }
        if record:
            added["FAULTS_LOG"] = str(self.log)
        if suffix:
            added["FAULTS_SUFFIX"] = suffix
        return dict(os.environ) | added

    @contextmanager
    def fails(self, fault: Fault, *, after: int = 0, kind: int = 1) -> Iterator[None]:
        """Calls of this sort are refused meanwhile, once ``after`` of them have succeeded."""
        position = 8 * fault
        self._control[position + 4 : position + 8] = struct.pack("=i", after)
        self._control[position : position + 4] = struct.pack("=i", kind)
        try:
            yield
        finally:
            self._control[position : position + 4] = struct.pack("=i", 0)

    @property
    def refused(self) -> int:
        """How many calls were refused so far."""
        count: int
        (count,) = struct.unpack_from("=i", self._control, FAILED_AT)
        return count
