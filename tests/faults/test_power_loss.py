"""After a power loss at any moment, what was acknowledged is there, and nothing by half.

Each check is shown to find out a sync that was left away: otherwise it would prove nothing.
FACE_SERVE_SOAK=1 looks at longer runs and at more disks of each moment.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import writer
from .ledger import complaint
from .power_loss import CORNERS, EVERYTHING, NOTHING, Disk, Loss, found_in, lay_out, losses
from .record import Operation, read_log
from .shim import Shim

SOAK = os.environ.get("FACE_SERVE_SOAK") == "1"

pytestmark = pytest.mark.soak
MUTATIONS = 40 if SOAK else 6
BY_CHANCES = 8 if SOAK else 1
DATABASE = "galleries.sqlite"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """For disks that are opened: in memory where there is some, as there are hundreds."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


@pytest.mark.timeout(1800 if SOAK else 180)
def test_store(shim: Shim, scratch: Path, journal: str) -> None:
    operations = churned(shim, journal, writer.DEFAULT)
    disk = Disk()
    for operation in operations:
        disk.apply(operation)
    assert disk.after_power_loss(EVERYTHING) == found_in(shim.root), "something was not recorded"
    assert len(disk.acknowledged) == 1 + 2 * MUTATIONS

    checked = 0
    for loss in losses(operations, by_chances=BY_CHANCES):
        wrong = complaint_of(loss, scratch)
        assert wrong is None, f"{wrong}\nafter {loss.survival} and {loss.said}"
        checked += 1
    assert checked > len(operations)


@pytest.mark.parametrize("setting", ["off", "one sync less"])
def test_store_without_syncs_is_found_out(
    shim: Shim, scratch: Path, journal: str, setting: str
) -> None:
    less = {"WAL": "NORMAL", "DELETE": "FULL"}[journal]
    operations = churned(shim, journal, "OFF" if setting == "off" else less)
    assert any(complaint_of(loss, scratch) for loss in losses(operations, [NOTHING]))


def test_store_in_a_new_directory(shim: Shim, scratch: Path, journal: str) -> None:
    """The store makes the directories of its file: they must not be lost either."""
    operations = churned(shim, journal, writer.DEFAULT, f"data/here/{DATABASE}")
    for loss in losses(operations, [NOTHING]):
        assert complaint_of(loss, scratch, f"data/here/{DATABASE}") is None


def test_file_that_is_replaced(shim: Shim) -> None:
    operations = recorded(shim, "replace_file", str(shim.root), "both")
    checked = [picture_fits(loss) for loss in losses(operations, CORNERS, by_chances=20)]
    assert len(checked) > 40
    assert all(checked)


@pytest.mark.parametrize("only", ["file", "directory"])
def test_file_that_is_replaced_without_a_sync_is_found_out(shim: Shim, only: str) -> None:
    operations = recorded(shim, "replace_file", str(shim.root), only)
    assert not all(picture_fits(loss) for loss in losses(operations))


def churned(
    shim: Shim, journal: str, synchronous: str, database: str = DATABASE
) -> list[Operation]:
    """What a writer of galleries did."""
    return recorded(
        shim, "churn", str(shim.root), database, journal, synchronous, str(MUTATIONS), "0"
    )


def recorded(shim: Shim, *arguments: str) -> list[Operation]:
    writer.run(shim.environment(record=True), *arguments)
    return read_log(shim.log)


def complaint_of(loss: Loss, scratch: Path, database: str = DATABASE) -> str | None:
    """What is wrong with the store on this disk."""
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        lay_out(loss.files, Path(directory))
        return complaint(f"sqlite:///{directory}/{database}", loss.said)


def picture_fits(loss: Loss) -> bool:
    """The file is the one acknowledged last, or the one that was being written, and whole."""
    done = loss.said.count("done")
    possible = [writer.picture(done) if done else None]
    if loss.said and loss.said[-1] != "done":
        possible.append(writer.picture(done + 1))
    return loss.files.get("picture") in possible
