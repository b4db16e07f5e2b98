from __future__ import annotations

import pytest
from ray.exceptions import RayActorError

from serve_app.deployments.readiness import NO_REPLICA, NO_STORE, stage_checks
from serve_app.errors import FaceServeError, UnavailableError
from serve_app.service import Readiness
from tests.deployments.handles import Handle


class Replica:
    def __init__(self, *, dead: bool = False, store: bool = True) -> None:
        self._dead = dead
        self._store = store

    async def ready(self) -> None:
        if self._dead:
            raise RayActorError

    async def store_ready(self) -> FaceServeError | None:
        return None if self._store else UnavailableError("a host and its address")


async def test_each_stage_is_asked_and_the_store_behind_the_index() -> None:
    checks = stage_checks(Handle(Replica()), Handle(Replica()), [Handle(Replica())])
    assert list(checks) == ["detector", "extractor", "index", "store"]
    assert set((await Readiness(checks).stages()).values()) == {"ready"}


async def test_shards_are_told_apart() -> None:
    shards = [Handle(Replica()), Handle(Replica(dead=True))]
    checks = stage_checks(Handle(Replica()), Handle(Replica()), shards)
    with pytest.raises(UnavailableError) as told:
        await Readiness(checks).stages()
    assert str(told.value) == f"index1 is not ready: {NO_REPLICA}"


async def test_a_database_that_is_down_is_the_stores_trouble_alone() -> None:
    index = [Handle(Replica(store=False))]
    checks = stage_checks(Handle(Replica()), Handle(Replica()), index)
    with pytest.raises(UnavailableError) as told:
        await Readiness(checks).stages()
    assert str(told.value) == f"store is not ready: {NO_STORE}"
