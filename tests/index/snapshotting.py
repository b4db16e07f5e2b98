"""A keeper whose builds run in the test's own process: without the second that one takes to start,
and killed with it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import cast

from serve_app.errors import FaceServeError
from serve_app.index.upkeep import builder
from serve_app.index.upkeep.builder import BuildOrder
from serve_app.index.upkeep.keeper import Housekeeping, Keeper
from serve_app.index.upkeep.rules import UpkeepRules
from serve_app.types import Shard

from .replica import Replica


def keeper_of(
    replica: Replica, shard: Shard, rules: UpkeepRules, housekeeping: Housekeeping
) -> Keeper:
    return Keeper(
        replica.store,
        replica.storage,
        ("unused", "unused"),
        shard,
        rules,
        housekeeping,
        tidy=replica.caches[shard].tidy,
        start_build=building_here(replica),
    )


def building_here(replica: Replica) -> Callable[[BuildOrder], subprocess.Popen[bytes]]:
    def start(order: BuildOrder) -> subprocess.Popen[bytes]:
        code, complaint = builder.BUILT, ""
        try:
            if replica.build(order.key, Shard(order.shard, order.shards)) is None:
                code = builder.NOTHING_TO_DO
        except FaceServeError as error:
            code, complaint = builder.FAILED, str(error)
        return cast("subprocess.Popen[bytes]", Ended(code, complaint))

    return start


class Ended:
    """A process that came to its end."""

    def __init__(self, returncode: int, complaint: str) -> None:
        self.returncode = returncode
        self._complaint = complaint

    def communicate(self, timeout: float) -> tuple[bytes, bytes]:
        return b"", self._complaint.encode()
