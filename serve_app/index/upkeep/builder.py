"""The process that builds an index: beside the replica, so that searches keep their core, their
interpreter and their memory, and that a crash of FAISS is only a build that failed.

``python -m serve_app.index.upkeep.builder`` with a ``BuildOrder`` and its parent's process id as
JSON on standard input: a command line would show the database's password to everyone. It ends
when its parent does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict, dataclass

from serve_app.types import Shard

logger = logging.getLogger(__name__)

BUILT, NOTHING_TO_DO, FAILED = 0, 3, 4
NICENESS = 19
"""Behind the threads that answer searches, which are nice themselves (serve_app.priority)."""


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build: a gallery's generation, for a shard; with so many FAISS ``threads``.
    ``key_sources``: where the master keys come from, if the database is encrypted."""

    database_url: str
    snapshots_url: str
    key: str
    generation: str
    shard: int
    shards: int
    threads: int
    key_sources: tuple[str, ...] = ()


def start(order: BuildOrder) -> subprocess.Popen[bytes]:
    """The building process; its exit code is BUILT, NOTHING_TO_DO or anything else for a failure,
    and its standard error ends with the reason."""
    process = subprocess.Popen(  # nosec B603 # this Python, this module
        [sys.executable, "-P", "-m", "serve_app.index.upkeep.builder"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "OMP_NUM_THREADS": str(order.threads),
            "OPENBLAS_NUM_THREADS": str(order.threads),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
    )
    assert process.stdin
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps([asdict(order), os.getpid()]).encode())
    process.stdin = None  # Popen.communicate would flush it
    return process


class ParentGoneError(Exception):
    """Nobody waits for the result."""


def build(order: BuildOrder, parent: int) -> int:
    """Carry out ``order`` for the process ``parent``: the exit code."""
    # Late: the parent needs neither.
    from serve_app.config.encryption import open_vault
    from serve_app.errors import FaceServeError
    from serve_app.index.snapshots import SnapshotStorage
    from serve_app.index.store import GalleryStore
    from serve_app.index.upkeep.building import build_snapshot

    def still_wanted() -> None:
        if os.getppid() != parent:
            raise ParentGoneError

    try:
        vault = open_vault(order.key_sources, os.environ)
        store = GalleryStore(order.database_url, create=False, vault=vault)
        info = store.describe([order.key]).get(order.key)
        if info is None or info.generation != order.generation:
            return NOTHING_TO_DO
        built = build_snapshot(
            store,
            SnapshotStorage(order.snapshots_url),
            info,
            Shard(order.shard, order.shards),
            threads=order.threads,
            progress=still_wanted,
        )
        return NOTHING_TO_DO if built is None else BUILT
    except FaceServeError as error:
        print(error, file=sys.stderr)  # noqa: T201 - read by the keeper
    except ParentGoneError:
        pass
    except Exception as error:
        print(type(error).__name__, file=sys.stderr)  # noqa: T201 - its text may hold paths
    return FAILED


if __name__ == "__main__":
    os.nice(NICENESS)
    order_facts, parent_id = json.load(sys.stdin)
    order_facts["key_sources"] = tuple(order_facts["key_sources"])
    sys.exit(build(BuildOrder(**order_facts), parent_id))
