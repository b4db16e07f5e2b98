"""The shim sees everything, and refuses what it was told to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import writer
from .power_loss import EVERYTHING, NOTHING, Disk, found_in
from .record import read_log
from .shim import Fault, Shim, Writes


def test_record_holds_everything(shim: Shim) -> None:
    writer.run(shim.environment(record=True), "every_call", str(shim.root))
    disk = Disk()
    for operation in read_log(shim.log):
        disk.apply(operation)
    found = found_in(shim.root)
    assert found["c/executed"] == b"by another program\n"
    assert disk.after_power_loss(EVERYTHING) == found
    assert disk.after_power_loss(NOTHING) == {}


def test_faiss_is_seen(shim: Shim) -> None:
    """It writes with C's stdio."""
    program = f"import faiss; faiss.write_index(faiss.IndexFlatL2(8), '{shim.root}/vector.index')"
    environment = shim.environment(record=True)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    disk = Disk()
    for operation in read_log(shim.log):
        disk.apply(operation)
    assert disk.after_power_loss(EVERYTHING) == found_in(shim.root)


@pytest.mark.parametrize(
    "change",
    ["os.link(f, f + '2')", "os.symlink(f, f + '2')", "os.truncate(f, 1)"],
)
def test_what_is_not_recorded_is_refused(shim: Shim, change: str) -> None:
    file = shim.root / "file"
    file.touch()
    program = f"import os, sys; f = sys.argv[1]; {change}"
    process = subprocess.run(
        [sys.executable, "-c", program, file],
        env=shim.environment(record=True),
        capture_output=True,
        check=False,
    )
    assert b"Operation not supported" in process.stderr


def test_faults(shim: Shim) -> None:
    (shim.root / "old.data").write_bytes(b"old")
    with opener(shim.root, shim.environment(suffix=".data")) as does:
        assert does("write new.data") == "ok"
        with shim.fails(Fault.WRITES, kind=Writes.GROWTH):
            assert does("write old.data") == "ok"
            assert does("write another.data") == "ENOSPC"
            assert does("write other") == "ok"
            assert does("read old.data") == "ok"
        with shim.fails(Fault.WRITES, kind=Writes.ALL, after=1):
            assert does("write old.data") == "ok"
            assert does("write old.data") == "ENOSPC"
        with shim.fails(Fault.READS):
            assert does("read old.data") == "EIO"
            assert does("read other") == "ok"
        with shim.fails(Fault.SYNCS):
            assert does("sync old.data") == "EIO"
        for call in ("read", "sync", "write"):
            assert does(f"{call} another.data") == "ok"
    assert shim.refused == 4


OPENER = """
import errno, os, sys
calls = {
    "write": lambda file: os.write(file, b"new"),
    "read": lambda file: os.read(file, 10),
    "sync": os.fsync,
}
for line in sys.stdin:
    call, name = line.split()
    file = os.open(name, os.O_CREAT | os.O_RDWR)
    try:
        calls[call](file)
        print("ok", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
    os.close(file)
"""


@contextmanager
def opener(directory: Path, environment: Mapping[str, str]) -> Iterator[Callable[[str], str]]:
    """A process that opens a file for each call."""
    with subprocess.Popen(
        [sys.executable, "-c", OPENER],
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        pipe, answers = process.stdin, process.stdout
        assert pipe is not None
        assert answers is not None

        def does(line: str) -> str:
            print(line, file=pipe, flush=True)
            return answers.readline().strip()

        yield does
        pipe.close()
